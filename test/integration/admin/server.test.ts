import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { startAdminServer } from '../../../src/admin/server.ts';
import { PodwireError } from '../../../src/errors.ts';
import { adminServer, ask, raw, SILENT, temporaryFolder, VIEW } from './fixture.ts';

const ACTIONS = { shutdown: () => {}, setLogLevel: () => false };

function start(socket: string) {
  return startAdminServer({ socket, view: VIEW, actions: ACTIONS, log: SILENT });
}

async function refusal(t: TestContext, socket: string): Promise<PodwireError> {
  try {
    const server = await start(socket);
    t.after(() => server.close());
  } catch (error) {
    assert.ok(error instanceof PodwireError, String(error));
    return error;
  }
  assert.fail(`a server was started on ${socket}`);
}

for (const name of [
  'status',
  'pods',
  'connections',
  'services',
  'policies',
  'counters',
  'trust',
  'doctor',
  'findings',
] as const) {
  test(`GET /v1/${name} is the view as JSON`, async (t) => {
    const { socket } = await adminServer(t);
    const { status, headers, body } = await ask({ socketPath: socket }, `/v1/${name}`);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    assert.equal(headers['cache-control'], 'no-store');
    assert.deepEqual(JSON.parse(body), JSON.parse(JSON.stringify(VIEW[name]())));
  });
}

test('64-bit numbers are exact', async (t) => {
  const { socket } = await adminServer(t);
  const { body } = await ask({ socketPath: socket }, '/v1/config_dump');
  assert.deepEqual(JSON.parse(body), { big: 12, huge: '18446744073709551615' });
});

test('the socket is the owner’s, in a folder of the owner’s', async (t) => {
  const { socket } = await adminServer(t);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(socket)).mode & 0o777, 0o700);
});

test('a closed server leaves no socket, and closing twice is fine', async (t) => {
  const { socket, server } = await adminServer(t);
  await server.close();
  await server.close();
  assert.ok(!existsSync(socket));
});

test('a second server on a live socket is refused and harms nothing', async (t) => {
  const { socket } = await adminServer(t);
  const error = await refusal(t, socket);
  assert.equal(error.code, 'ERR_LOCKED');
  assert.equal(error.exitCode, 4);
  assert.match(error.message, /another agent answers/);
  assert.equal((await ask({ socketPath: socket }, '/v1/pods')).status, 200);
});

test('a socket that nobody answers on is taken over', async (t) => {
  const socket = join(temporaryFolder(t), 'admin.sock');
  const listenAndDie =
    "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))";
  const dead = spawn(process.execPath, ['-e', listenAndDie, socket]);
  await once(dead, 'close');
  assert.ok(lstatSync(socket).isSocket());
  const server = await start(socket);
  t.after(() => server.close());
  assert.equal((await ask({ socketPath: socket }, '/v1/pods')).status, 200);
});

test('a predecessor that closes late does not remove its successor’s socket', async (t) => {
  const socket = join(temporaryFolder(t), 'admin.sock');
  const first = await start(socket);
  // an upgrade: the successor takes the place over
  rmSync(socket);
  const second = await start(socket);
  t.after(() => second.close());
  await first.close();
  assert.equal((await ask({ socketPath: socket }, '/v1/pods')).status, 200);
});

test('a file in the socket’s place is not touched', async (t) => {
  const socket = join(temporaryFolder(t), 'admin.sock');
  writeFileSync(socket, 'precious');
  assert.equal((await refusal(t, socket)).code, 'ERR_BAD_OPTION');
  assert.ok(lstatSync(socket).isFile());
});

test('a folder that others may write is refused', async (t) => {
  const folder = join(temporaryFolder(t), 'open');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  const error = await refusal(t, join(folder, 'admin.sock'));
  assert.equal(error.code, 'ERR_BAD_OPTION');
  assert.match(error.hint ?? '', /chmod go-w/);
});

test('a path that is too long for a socket says so', async (t) => {
  const error = await refusal(t, join(temporaryFolder(t), 'x'.repeat(100), 'admin.sock'));
  assert.match(error.message, /too long/);
});

test('POST /v1/shutdown is accepted and told to the agent', async (t) => {
  const { socket, calls } = await adminServer(t);
  assert.equal((await ask({ socketPath: socket }, '/v1/shutdown', { method: 'POST' })).status, 202);
  assert.deepEqual(calls, ['shutdown']);
});

for (const [what, path, body, status] of [
  ['a level in the body', '/v1/loglevel', '{"level":"debug"}', 200],
  ['a level in the query', '/v1/loglevel?level=debug', '', 200],
  ['an unknown level', '/v1/loglevel?level=loud', '', 400],
  ['no level', '/v1/loglevel', '', 400],
  ['a level that is no text', '/v1/loglevel', '{"level":7}', 400],
  ['a body that is no JSON', '/v1/loglevel', 'debug', 400],
  ['a body that is null', '/v1/loglevel', 'null', 400],
] as const) {
  test(`POST /v1/loglevel with ${what} is ${status}`, async (t) => {
    const { socket, calls } = await adminServer(t);
    const answer = await ask({ socketPath: socket }, path, { method: 'POST', body });
    assert.equal(answer.status, status);
    assert.deepEqual(calls, status === 200 ? ['level debug'] : []);
    if (status === 400) assert.match(answer.body, /"error":/);
  });
}

for (const [method, path, status, allow] of [
  ['GET', '/v1/nothing', 404, undefined],
  ['GET', '/', 404, undefined],
  ['GET', '/v1/../v1/pods', 404, undefined],
  ['GET', '/v1/shutdown', 405, 'POST'],
  ['POST', '/v1/pods', 405, 'GET'],
  ['DELETE', '/v1/pods', 405, 'GET'],
  ['HEAD', '/v1/pods', 200, undefined],
] as const) {
  test(`${method} ${path} is ${status}`, async (t) => {
    const { socket, calls } = await adminServer(t);
    const answer = await ask({ socketPath: socket }, path, { method });
    assert.equal(answer.status, status);
    assert.equal(answer.headers['allow'], allow);
    assert.deepEqual(calls, []);
  });
}

test('a view that fails is a 500 with its message, and the server lives on', async (t) => {
  const view = {
    ...VIEW,
    pods: () => {
      throw new Error('the map is gone');
    },
  };
  const { socket } = await adminServer(t, view);
  const answer = await ask({ socketPath: socket }, '/v1/pods');
  assert.equal(answer.status, 500);
  assert.deepEqual(JSON.parse(answer.body), { error: 'the map is gone' });
  assert.equal((await ask({ socketPath: socket }, '/v1/counters')).status, 200);
});

test('a body beyond the limit is refused, announced or not', async (t) => {
  const { socket, calls } = await adminServer(t);
  const body = 'x'.repeat(20_000);
  const announced = await ask({ socketPath: socket }, '/v1/loglevel', { method: 'POST', body });
  assert.equal(announced.status, 413);
  assert.equal(announced.headers['connection'], 'close');
  const chunked = await ask({ socketPath: socket }, '/v1/loglevel', {
    method: 'POST',
    body,
    headers: { 'transfer-encoding': 'chunked' },
  });
  assert.equal(chunked.status, 413);
  assert.deepEqual(calls, []);
});

for (const [what, bytes, expected] of [
  ['garbage', '\x00\x01\x02 what\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc', /^HTTP\/1\.1 400 /],
  [
    'headers without end',
    `GET / HTTP/1.1\r\nHost: x\r\nA: ${'y'.repeat(20_000)}`,
    /^HTTP\/1\.1 400 /,
  ],
  ['no Host', 'GET /v1/pods HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  [
    'two lengths',
    'POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  [
    'length and chunks',
    'POST /v1/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  [
    'a proxy request',
    'GET http://x/v1/pods HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    /^HTTP\/1\.1 400 /,
  ],
  [
    'a very long path',
    `GET /${'p'.repeat(3_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    /^HTTP\/1\.1 414 /,
  ],
] as const) {
  test(`${what} is answered with an error and the connection ends`, async (t) => {
    const { socket, calls } = await adminServer(t);
    assert.match(await raw({ path: socket }, bytes), expected);
    assert.deepEqual(calls, []);
    assert.equal((await ask({ socketPath: socket }, '/v1/pods')).status, 200);
  });
}

test('a connection that sends half a request does not hold up closing', async (t) => {
  const { socket, server } = await adminServer(t);
  const half = connect(socket, () => half.write('GET /v1/pods HT'));
  await once(half, 'connect');
  const before = performance.now();
  await server.close();
  assert.ok(performance.now() - before < 3_000);
});

test('a foreign server on the socket counts as taken', async (t) => {
  const socket = join(temporaryFolder(t), 'admin.sock');
  const other = createServer().listen(socket);
  await once(other, 'listening');
  t.after(() => other.close());
  assert.equal((await refusal(t, socket)).code, 'ERR_LOCKED');
});
