import { byId } from './dom.ts';

const CHOICES = ['auto', 'light', 'dark'] as const;

/** The switch between light and dark. Where a page may keep something, the choice is kept for the next report. */
export function setUpTheme(): void {
  const buttons = [...byId('theme').querySelectorAll('button')];
  const choose = (choice: string): void => {
    if (choice === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = choice;
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.value === choice));
    try {
      localStorage.setItem('tsbuild-report-theme', choice);
    } catch {
      // Pages from files may be forbidden to.
    }
  };
  for (const button of buttons) button.addEventListener('click', () => choose(button.value));
  let kept: string | null = null;
  try {
    kept = localStorage.getItem('tsbuild-report-theme');
  } catch {
    // As above.
  }
  choose(CHOICES.find((choice) => choice === kept) ?? 'auto');
}
