// Draws the display of a build as docs/images/build.svg, from a real run on a terminal: node scripts/picture.mjs [CONTEXT]
//   CONTEXT  default examples/web, whose base image must be in the store (npm run quickstart)
// Of all that the terminal showed, the picture has the screen that had the most on it. Python has the pty that Node lacks.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROWS = 24;
const COLUMNS = 100;
const root = fileURLToPath(new URL('..', import.meta.url));
const context = process.argv[2] ?? 'examples/web';
const typed = ['tsbuild', 'build', '--no-cache', '-t', 'web', context];

const PTY = `
import fcntl, os, pty, struct, sys, termios
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', ${ROWS}, ${COLUMNS}, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try: data = os.read(master, 65536)
    except OSError: break
    if not data: break
    sys.stdout.buffer.write(data); sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 255)
`;

/** As much of a terminal as the display asks for: characters with a style, colours, the cursor's moves up, what it clears. */
class Screen {
  /** @type {{ text: string, style: string }[][]} */
  lines = [[]];
  #row = 0;
  #column = 0;
  #style = '';

  /** @param {string} data */
  write(data) {
    // eslint-disable-next-line no-control-regex
    for (const [part, parameters, final] of data.matchAll(/\u001b\[([?\d;]*)([a-zA-Z])|[^\u001b]/gsu)) {
      if (final === undefined) this.#print(part);
      else this.#control(parameters ?? '', final);
    }
  }

  /** @param {string} text */
  #print(text) {
    if (text === '\r') this.#column = 0;
    else if (text === '\n') this.lines[++this.#row] ??= [];
    else if (text >= ' ') {
      const line = this.lines[this.#row] ?? [];
      while (line.length < this.#column) line.push({ text: ' ', style: '' });
      line[this.#column++] = { text, style: this.#style };
    }
  }

  /** @param {string} parameters @param {string} final */
  #control(parameters, final) {
    if (final === 'A') this.#row = Math.max(0, this.#row - Number(parameters || 1));
    else if (final === 'K') this.lines[this.#row]?.splice(this.#column);
    else if (final === 'J') {
      this.lines[this.#row]?.splice(this.#column);
      this.lines.splice(this.#row + 1);
    } else if (final === 'm') this.#style = styleOf(this.#style, parameters.split(';').map(Number));
    else if (final !== 'h' && final !== 'l') throw new Error(`The display used ESC [ ${parameters} ${final}`);
  }
}

const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'gray'];

/** Names of classes. @param {string} before @param {readonly number[]} codes */
function styleOf(before, codes) {
  let style = before;
  for (const code of codes) {
    if (code === 0) style = '';
    else if (code === 1) style += ' bold';
    else if (code === 2) style += ' faint';
    else if (code === 22) style = style.replaceAll(/ (?:bold|faint)/g, '');
    else if (code === 39) style = withoutColor(style);
    else if (code >= 30 && code <= 37) style = `${withoutColor(style)} ${COLORS[code - 30]}`;
    else if (code >= 90 && code <= 97) style = `${withoutColor(style)} ${COLORS[code - 90]}`;
  }
  return style.trim() === '' ? '' : ` ${style.trim()}`;
}

/** @param {string} style */
function withoutColor(style) {
  return style.replaceAll(new RegExp(` (?:${COLORS.join('|')})`, 'g'), '');
}

/** @param {string} text */
const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const WIDTH = 8.4;
const HEIGHT = 20;

/** One line as SVG: a tspan for each run of a style. @param {readonly { text: string, style: string }[]} cells @param {number} row */
function drawLine(cells, row) {
  const runs = [];
  for (const cell of cells) {
    const last = runs.at(-1);
    if (last?.style === cell.style) last.text += cell.text;
    else runs.push({ ...cell });
  }
  const spans = runs.map(({ text, style }) =>
    style === '' ? escape(text) : `<tspan class="${style.trim()}">${escape(text)}</tspan>`,
  );
  return `<text x="16" y="${52 + row * HEIGHT}" xml:space="preserve">${spans.join('')}</text>`;
}

/** @param {readonly (readonly { text: string, style: string }[])[]} lines */
function draw(lines) {
  const width = Math.round(COLUMNS * WIDTH) + 32;
  const height = 52 + lines.length * HEIGHT;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="The display of a build in a terminal">
<!-- Made by scripts/picture.mjs from a run. -->
<style>
text { font: 14px ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #24292f }
.frame { fill: #f6f8fa; stroke: #d0d7de }
.dot { fill: #d0d7de }
.bold { font-weight: bold }
.faint { opacity: .65 }
.black, .gray { fill: #57606a }
.red { fill: #cf222e }
.green { fill: #116329 }
.yellow { fill: #7d4e00 }
.blue { fill: #0550ae }
.magenta { fill: #8250df }
.cyan { fill: #1b7c83 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.frame { fill: #161b22; stroke: #30363d }
.dot { fill: #484f58 }
.black, .gray { fill: #8b949e }
.red { fill: #ff7b72 }
.green { fill: #3fb950 }
.yellow { fill: #d29922 }
.blue { fill: #79c0ff }
.magenta { fill: #bc8cff }
.cyan { fill: #56d4dd }
}
</style>
<rect class="frame" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
<circle class="dot" cx="20" cy="18" r="6"/><circle class="dot" cx="40" cy="18" r="6"/><circle class="dot" cx="60" cy="18" r="6"/>
${lines.map(drawLine).join('\n')}
</svg>
`;
}

const screen = new Screen();
let best = structuredClone(screen.lines);
const filled = (/** @type {readonly (readonly unknown[])[]} */ lines) => lines.filter((line) => line.length > 0).length;

const child = spawn('python3', ['-c', PTY, `${root}bin/tsbuild`, ...typed.slice(1)], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
});
child.stdout.setEncoding('utf8');
let left = '';
child.stdout.on('data', (text) => {
  // A sequence may come in two pieces. The display writes a screen at once, so that what is read is one, or several.
  const all = left + text;
  // eslint-disable-next-line no-control-regex
  const at = /\u001b(?:\[[?\d;]*)?$/.exec(all)?.index ?? all.length;
  left = all.slice(at);
  screen.write(all.slice(0, at));
  if (filled(screen.lines) >= filled(best)) best = structuredClone(screen.lines);
});
const code = await new Promise((resolve) => child.once('close', resolve));
if (code !== 0) throw new Error(`${typed.join(' ')} ended with ${code}`);

while (best.at(-1)?.length === 0) best.pop();
const prompt = [
  { text: '$ ', style: ' gray' },
  ...typed
    .join(' ')
    .split('')
    .map((text) => ({ text, style: '' })),
];
mkdirSync(`${root}docs/images`, { recursive: true });
writeFileSync(`${root}docs/images/build.svg`, draw([prompt, ...best]));
console.log(`docs/images/build.svg: ${best.length + 1} lines of a screen of ${ROWS} by ${COLUMNS}`);
