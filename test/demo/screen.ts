/**
 * How the demo looks: a heading per step, then its evidence.  Colours and a line of progress that is written over are
 * for terminals; a file gets the same words without them.
 */
import { type Column, renderTable } from '../../src/cli/output.ts';

const STYLES = { bold: '1', dim: '2', red: '31', green: '32', cyan: '1;36' } as const;
type Style = keyof typeof STYLES;

/** What a value means to the reader. */
export type Tone = 'good' | 'bad' | 'neutral';

const TONES: Readonly<Record<Tone, Style | undefined>> = {
  good: 'green',
  bad: 'red',
  neutral: undefined,
};
const LABEL_WIDTH = 18;
const INDENT = '   ';
const ESCAPE = '\u001b[';
const CLEAR_LINE = `\r${ESCAPE}2K`;

export interface ScreenOptions {
  readonly write: (text: string) => void;
  readonly terminal: boolean;
  readonly colours: boolean;
  /** of the terminal */
  readonly width: number;
}

export class Screen {
  readonly #options: ScreenOptions;
  #number = 0;
  #inProgress = false;

  constructor(options: ScreenOptions) {
    this.#options = options;
  }

  title(text: string): void {
    this.#lines([this.#paint('bold', text)]);
  }

  heading(text: string): void {
    this.#lines(['', this.#paint('cyan', `${++this.#number}. ${text}`)]);
  }

  fact(label: string, value: string, tone: Tone = 'neutral'): void {
    const style = TONES[tone];
    const { terminal, width } = this.#options;
    const room = terminal ? width - INDENT.length - LABEL_WIDTH : Infinity;
    const lines = wrap(value, room).map((line, index) => {
      const start = (index === 0 ? label : '').padEnd(LABEL_WIDTH);
      const shown = style === undefined ? line : this.#paint(style, line);
      return `${INDENT}${this.#paint('dim', start)}${shown}`;
    });
    this.#lines(lines);
  }

  note(text: string): void {
    this.#lines(text.split('\n').map((line) => `${INDENT}${line}`.trimEnd()));
  }

  table<T>(columns: readonly Column<T>[], rows: readonly T[], tone: (row: T) => Tone): void {
    const [head = '', ...body] = renderTable(columns, rows, 'none').split('\n');
    const painted = body.map((line, index) => {
      const row = rows[index];
      const style = row === undefined ? undefined : TONES[tone(row)];
      return style === undefined ? line : this.#paint(style, line);
    });
    this.#lines([this.#paint('dim', head), ...painted].map((line) => `${INDENT}${line}`));
  }

  /** What is being done now; the next line takes its place. */
  progress(text: string): void {
    if (!this.#options.terminal) {
      this.#lines([`${INDENT}... ${text}`]);
      return;
    }
    const line = `${INDENT}... ${text}`.slice(0, this.#options.width - 1);
    this.#options.write(`${CLEAR_LINE}${this.#paint('dim', line)}`);
    this.#inProgress = true;
  }

  /** Takes the line of progress away. */
  clear(): void {
    if (this.#inProgress) this.#options.write(CLEAR_LINE);
    this.#inProgress = false;
  }

  #lines(lines: readonly string[]): void {
    this.clear();
    this.#options.write(`${lines.join('\n')}\n`);
  }

  #paint(style: Style, text: string): string {
    return this.#options.colours ? `${ESCAPE}${STYLES[style]}m${text}${ESCAPE}0m` : text;
  }
}

/** Lines of at most this many characters, where the words allow it. */
export function wrap(text: string, room: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= room) line += ` ${word}`;
    else {
      lines.push(line.trimEnd());
      line = word;
    }
  }
  return [...lines, line];
}
