import { byId } from './dom.ts';
import { select, selectedStep } from './state.ts';

/** Keys that work everywhere on the page. Those of the timeline and the list are with these. */
export function setUpKeys(): void {
  const help = byId('help') as HTMLDialogElement;
  byId('help-open').addEventListener('click', () => help.showModal());
  byId('help-close').addEventListener('click', () => help.close());
  byId('search-open').addEventListener('click', () => toSearch());
  document.addEventListener('keydown', (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const typing = target instanceof HTMLInputElement;
    if (key === 'Escape') {
      const search = byId('search') as HTMLInputElement;
      if (target === search && search.value !== '') {
        search.value = '';
        search.dispatchEvent(new Event('input'));
      } else if (selectedStep() !== undefined) select(undefined);
      else if (typing) target.blur();
      else return;
      event.preventDefault();
    } else if (!typing && key === '/') {
      event.preventDefault();
      toSearch();
    } else if (!typing && key === '?') help.showModal();
  });
}

function toSearch(): void {
  const search = byId('search') as HTMLInputElement;
  search.focus();
  search.select();
}
