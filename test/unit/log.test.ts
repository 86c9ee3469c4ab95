import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { extname } from 'node:path';
import { suite, test } from 'node:test';

const MODULE = new URL(`../../src/log${extname(import.meta.url)}`, import.meta.url).href;

/** What a process that logs and exits at once leaves on its streams. */
function run(options: string, body: string): { stdout: string; lines: string[] } {
  const code = `import { createLog } from '${MODULE}'; const log = createLog(${options}); ${body}; process.exit(0)`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [...loader(), '--input-type=module', '-e', code],
    {
      encoding: 'utf8',
    },
  );
  return { stdout, lines: stderr.trim().split('\n') };
}

/** How this process reads TypeScript, when it does. */
function loader(): string[] {
  return process.execArgv.filter((arg) => !arg.startsWith('--test'));
}

suite('log', () => {
  test('writes JSON lines with component, level and error to stderr before an exit', () => {
    const { stdout, lines } = run(
      `{ level: 'info', pretty: false }`,
      `const c = log.child({ component: 'xds' }); c.debug('no'); c.info({ a: 1 }, 'yes');
       c.error({ err: Object.assign(new Error('x'), { code: 'ERR_X' }) }, 'bad')`,
    );
    assert.equal(stdout, '');
    assert.equal(lines.length, 2);
    const [info, error] = lines.map((line) => JSON.parse(line));
    assert.match(info.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    delete info.time;
    assert.deepEqual(info, { level: 'info', component: 'xds', a: 1, msg: 'yes' });
    assert.equal(error.level, 'error');
    assert.equal(error.err.code, 'ERR_X');
  });

  test('pretty lines are for people', () => {
    const { lines } = run(`{ level: 'debug', pretty: true }`, `log.debug({ a: 1 }, 'hello')`);
    assert.match(lines.join('\n'), /^\[\d\d:\d\d:\d\d\.\d{3}\] DEBUG: hello \{"a":1\}$/);
  });
});
