/** The program as a user runs it: a process of its own against an admin server of this test. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { extname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { startControlAdmin } from '../../../src/admin/control-server.ts';
import {
  resourcesView,
  type ResourceKind,
  type ResourcesView,
} from '../../../src/admin/resource-view.ts';
import { PRIVATE_KEY, SAMPLE_SNAPSHOT } from '../../support/sample-resources.ts';
import { adminServer, SILENT, temporaryFolder, VIEW } from './fixture.ts';

const EXTENSION = extname(import.meta.url);
const MAIN = fileURLToPath(new URL(`../../../src/main${EXTENSION}`, import.meta.url));
const LOADER = EXTENSION === '.ts' ? ['--import', 'tsx'] : [];

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function podwire(...args: string[]): Promise<Result> {
  return run(MAIN, args);
}

async function run(main: string, args: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, [...LOADER, main, ...args]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

test('--help names every verb and every exit code', async () => {
  const { code, stdout } = await podwire('--help');
  assert.equal(code, 0);
  const verbs =
    'agent doctor validate cleanup status pods connections services workloads endpoints policies ' +
    'listeners routes clusters certificates trust counters';
  for (const verb of `${verbs} bench demo`.split(' ')) {
    assert.match(stdout, new RegExp(`^  ${verb} +\\S`, 'm'));
  }
  assert.match(stdout, /Exit codes: 0 ok, 1 .*, 2 .*, 3 .*\n +4 /);
});

test('without a verb the help is shown and the usage was wrong', async () => {
  const { code, stdout } = await podwire();
  assert.equal(code, 2);
  assert.match(stdout, /^Usage: podwire /);
});

test('as a kubectl plugin it calls itself kubectl podwire', async (t) => {
  const plugin = join(temporaryFolder(t), `kubectl-podwire${EXTENSION}`);
  symlinkSync(MAIN, plugin);
  const { stdout } = await run(plugin, ['--help']);
  assert.match(stdout, /^Usage: kubectl podwire /);
});

test('--version is that of the package', async () => {
  const { code, stdout } = await podwire('--version');
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

for (const [args, message] of [
  [['pdos'], /unknown command 'pdos'\n\(Did you mean pods\?\)/],
  [['pods', '--nope'], /unknown option '--nope'/],
  [['pods', '-o', 'xml'], /Allowed choices are table, json, yaml/],
  [['connections', '--path', 'magic'], /Allowed choices are plain, spliced, proxied/],
  [['pods', 'extra'], /too many arguments/],
  [['agent'], /--config is missing/],
  [['validate'], /required option '-f, --file <path>' not specified/],
] as const) {
  test(`podwire ${args.join(' ')}: bad usage is one message and exit code 2`, async () => {
    const { code, stdout, stderr } = await podwire(...args);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  });
}

test('agent options that cannot be used are named with their fix', async (t) => {
  const { code, stderr } = await podwire('agent', '--config', temporaryFolder(t), '--splice', 'x');
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^podwire: --splice cannot be 'x' \[ERR_BAD_OPTION\]\n  try: --splice: on or off\n$/,
  );
});

const LISTS = ['workloads', 'endpoints', 'policies', 'listeners', 'routes', 'clusters'] as const;
const OWN = ['status', 'pods', 'connections', 'services', 'trust', 'counters', 'certificates'];

for (const verb of [...OWN, ...LISTS]) {
  test(`podwire ${verb} without an agent says so, exit code 4`, async (t) => {
    const socket = join(temporaryFolder(t), 'none.sock');
    const { code, stdout, stderr } = await podwire(verb, '--admin', socket);
    assert.equal(code, 4);
    assert.equal(stdout, '');
    assert.match(stderr, /^podwire: no agent answers on .*none\.sock \[ERR_NO_AGENT\]$/m);
  });
}

test('what is no agent on the socket is told apart', async (t) => {
  const socket = join(temporaryFolder(t), 'other.sock');
  const other = createServer((connection) => connection.end('HTTP/1.1 200 OK\r\n\r\nhello'));
  other.listen(socket);
  await once(other, 'listening');
  t.after(() => other.close());
  const { code, stderr } = await podwire('pods', '--admin', socket);
  assert.equal(code, 4);
  assert.match(stderr, /is no podwire agent/);
});

for (const verb of ['pods', 'connections', 'services', 'trust', 'counters'] as const) {
  test(`podwire ${verb} -o json and -o yaml print what the agent answered`, async (t) => {
    const { socket } = await adminServer(t);
    const json = await podwire(verb, '--admin', socket, '-o', 'json');
    assert.deepEqual(JSON.parse(json.stdout), VIEW[verb]());
    const yaml = await podwire(verb, '--admin', socket, '-o', 'yaml');
    assert.deepEqual(parse(yaml.stdout), VIEW[verb]());
    assert.equal(json.code, 0);
    assert.equal(yaml.code, 0);
  });
}

test('podwire pods is a table that names of pods cannot disturb', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout } = await podwire('pods', '--admin', socket);
  const [head, web, db] = stdout.split('\n');
  assert.match(head!, /^NAMESPACE +NAME +STATE +SINCE +CAPTURE +SPLICE +ADDRESSES +NETNS +REASON$/);
  assert.match(web!, /^shop +web-1 +captured +\S+ +kernel +default +10\.0\.0\.1,fd00::1 +web +-$/);
  assert.match(db!, /^bank .* db\?\[31m +no such namespace$/);
});

test('podwire pods -n shows one namespace', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout } = await podwire('pods', '--admin', socket, '-n', 'bank', '-o', 'json');
  assert.deepEqual(
    (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name),
    ['db-1'],
  );
});

test('podwire connections says path, reason and bytes', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout } = await podwire('connections', '--admin', socket);
  assert.match(
    stdout,
    /^shop\/web-1 10\.0\.0\.1:40000 +10\.0\.0\.2:5432 +- +plain +peer-not-local +1s +10B +1\.4MiB +-$/m,
  );
  const none = await podwire('connections', '--admin', socket, '--path', 'spliced');
  assert.equal(none.stdout, 'no connections\n');
});

test('podwire services has a line per endpoint, also when there is none', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout } = await podwire('services', '--admin', socket);
  assert.match(
    stdout,
    /^shop\/db +10\.1\.0\.1:5432 +least-conn +\[fd00::2\]:5432 +shop\/db-1 +yes +yes +1 +3$/m,
  );
  assert.match(stdout, /^shop\/db +10\.1\.0\.1:80 +least-conn +none /m);
});

/** Control as far as these verbs ask it: what it would send to node n1, and its nodes. */
async function controlSocket(t: TestContext, sent: ResourcesView): Promise<string> {
  const socket = join(temporaryFolder(t), 'control.sock');
  const server = await startControlAdmin({
    socket,
    log: SILENT,
    actions: { shutdown: () => {}, setLogLevel: () => false, rotate: undefined },
    view: {
      roots: () => ({}),
      webhook: () => ({}),
      status: () => ({}),
      nodes: () => ({ nodes: [] }),
      findings: () => [],
      syncz: () => [],
      configDump: ({ node, type }) =>
        node === 'n1' ? { types: { [type!]: sent.types[type as ResourceKind] } } : { types: {} },
    },
  });
  t.after(() => server.close());
  return socket;
}

for (const [verb, line] of [
  [
    'workloads',
    /^shop +db-1 +10\.0\.0\.2,fd00::2 +n1 +spiffe:\S+\/sa\/db +HBONE +yes +shop\/db\./m,
  ],
  ['endpoints', /^outbound\|80\|\|db\S+ +L7 +\[fd00::2\]:5432 +\S+db-1 +no +3$/m],
  ['policies', /^shop\/web-1 +shop\/own +ALLOW +NAMESPACE +kernel +namespace shop$/m],
  ['listeners', /^inbound\|5432\|\S+ +inbound +\*:5432 +http +otherwise +http by \S+ \(rbac\)$/m],
  ['routes', /^outbound\|80\|\S+ +db,db\.shop +\/v2\[\/\*\] x-canary +a \(90\), b \(10\)$/m],
  ['clusters', /^outbound\|80\|\|db\S+ +eds +least-request +http2 +no +shop\/db$/m],
] as const) {
  test(`podwire ${verb} lists, as JSON too, and compares with control`, async (t) => {
    const { socket } = await adminServer(t);
    const table = await podwire(verb, '--admin', socket);
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, line);
    const json = await podwire(verb, '--admin', socket, '-o', 'json');
    assert.ok((JSON.parse(json.stdout) as unknown[]).length > 0);
    assert.ok(!json.stdout.includes(PRIVATE_KEY));

    const sent = resourcesView(SAMPLE_SNAPSHOT);
    const control = await controlSocket(t, sent);
    const asked = ['--admin', socket, '--control', control, '--node', 'n1'];
    const same = await podwire(verb, ...asked, '--diff');
    assert.deepEqual(same, {
      code: 0,
      stdout: 'the agent holds what control would send\n',
      stderr: '',
    });
    const fromControl = await podwire(verb, ...asked, '--from', 'control', '-o', 'json');
    assert.ok((JSON.parse(fromControl.stdout) as unknown[]).length > 0);
    const unknown = await podwire(verb, '--admin', socket, '--control', control, '--diff');
    assert.match(unknown.stdout, / held +not sent$/m);
  });
}

test('podwire workloads --diff names the field that differs', async (t) => {
  const { socket } = await adminServer(t);
  const text = JSON.stringify(resourcesView(SAMPLE_SNAPSHOT)).replace(
    '"capacity":1',
    '"capacity":7',
  );
  const control = await controlSocket(t, JSON.parse(text) as ResourcesView);
  const asked = ['--admin', socket, '--control', control, '--node', 'n1', '--diff'];
  const { stdout } = await podwire('workloads', ...asked);
  assert.match(stdout, /^Kubernetes\/\/Pod\/shop\/db-1 +workload\.capacity +1 +7$/m);
  const json = JSON.parse((await podwire('workloads', ...asked, '-o', 'json')).stdout) as unknown;
  assert.deepEqual(json, [
    {
      name: 'Kubernetes//Pod/shop/db-1',
      state: 'differs',
      fields: [{ path: 'workload.capacity', agent: 1, control: 7 }],
    },
  ]);
});

test('without control --diff and --from control say what to do, exit code 4', async (t) => {
  const { socket } = await adminServer(t);
  const none = join(temporaryFolder(t), 'none.sock');
  for (const args of [
    ['routes', '--diff'],
    ['status', '--from', 'control'],
    ['services', '--diff'],
  ]) {
    const { code, stderr } = await podwire(...args, '--admin', socket, '--control', none);
    assert.equal(code, 4);
    assert.match(stderr, /no control plane answers on .*none\.sock/);
  }
});

test('podwire status --from control lists the nodes', async (t) => {
  const control = await controlSocket(t, { types: {} });
  const { stdout, code } = await podwire('status', '--from', 'control', '--control', control);
  assert.deepEqual([stdout, code], ['no agent is connected\n', 0]);
});

test('podwire status is a page for people with the problems of the configuration', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout, code } = await podwire('status', '--admin', socket);
  assert.equal(code, 0);
  assert.match(stdout, /^ready +no: kernel$/m);
  assert.match(stdout, /^splicing +off: switched off$/m);
  assert.match(
    stdout,
    /^kernel +generation 2 \(adopted\), policy epoch 5, older still serving: 1$/m,
  );
  assert.match(
    stdout,
    /^  error: a\.yaml: Pod shop\/x: status\.podIPs: has no address \(give it one\)$/m,
  );
});

test('podwire counters --nonzero leaves zeros out', async (t) => {
  const { socket } = await adminServer(t);
  const { stdout } = await podwire('counters', '--admin', socket, '--nonzero', '-o', 'json');
  assert.deepEqual(JSON.parse(stdout), { connects: 4 });
});

test('a reader that goes away is no failure', async (t) => {
  const { socket } = await adminServer(t);
  const child = spawn(process.execPath, [...LOADER, MAIN, 'pods', '--admin', socket]);
  child.stdout.destroy();
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0);
});

test('podwire validate lists findings; errors are exit code 2, an unreadable folder too', async (t) => {
  const folder = temporaryFolder(t);
  assert.deepEqual(await podwire('validate', '-f', folder), {
    code: 0,
    stdout: '0 errors, 0 warnings\n',
    stderr: '',
  });
  writeFileSync(join(folder, 'broken.yaml'), 'kind: [', { mode: 0o600 });
  const broken = await podwire('validate', '-f', folder);
  assert.equal(broken.code, 2);
  assert.match(broken.stdout, /^error: broken\.yaml: /m);
  assert.match(broken.stdout, /^1 errors, 0 warnings$/m);
  const json = await podwire('validate', '-f', folder, '-o', 'json');
  assert.equal((JSON.parse(json.stdout) as { code: string }[])[0]!.code, 'YAML_INVALID');
  assert.equal((await podwire('validate', '-f', join(folder, 'none'))).code, 2);
});

test('podwire cleanup on a clean node does nothing', async (t) => {
  const folder = temporaryFolder(t);
  const options = [
    '--bpffs',
    folder,
    '--state-dir',
    join(folder, 's'),
    '--admin',
    join(folder, 'a'),
  ];
  assert.deepEqual(await podwire('cleanup', ...options), {
    code: 0,
    stdout: 'nothing of podwire is on this node\n',
    stderr: '',
  });
});

test('podwire cleanup refuses while an agent answers, and what is no bpffs', async (t) => {
  const { socket } = await adminServer(t);
  const folder = temporaryFolder(t);
  const options = ['--bpffs', folder, '--state-dir', join(folder, 's')];
  const running = await podwire('cleanup', ...options, '--admin', socket);
  assert.equal(running.code, 4);
  assert.match(running.stderr, /an agent is running on this node \[ERR_LOCKED\]/);
  mkdirSync(join(folder, 'podwire'));
  const wrong = await podwire('cleanup', ...options, '--admin', join(folder, 'a'));
  assert.equal(wrong.code, 3);
  assert.match(wrong.stderr, /is not on a BPF file system \[ERR_NO_BPFFS\]/);
});
