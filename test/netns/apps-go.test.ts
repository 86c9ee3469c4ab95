/**
 * Go: net/http is learnt and spliced; a proxy built on io.Copy reads with splice(2) and must work from its first
 * connection on, because it is observed first. One that splices only from its 1,000th connection on has been trusted by
 * then: it costs at most one reset, and never a hang or a wrong byte.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Agent, startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import {
  type Counts,
  buildGo,
  decision,
  drive,
  isDecided,
  learn,
  redirectedDuring,
} from '../support/programs.ts';

const SPLICE_FROM = 1000;
const skip = skipReason('go');

interface Proxied {
  readonly agent: Agent;
  /** path of the proxy */
  readonly program: string;
  /** sends `bytes` on each of the connections through the proxy and reads the echo */
  readonly echo: (connections: number, concurrent: number, bytes: number) => Promise<Counts>;
}

/** client → copy-proxy → torture-echo, each in a pod of its own */
async function proxied(
  scope: { after(fn: () => Promise<void>): void },
  args: string[],
): Promise<Proxied> {
  const mesh = createMesh(scope, { pods: ['client', 'proxy', 'server'].map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const [client, proxy, server] = [mesh.pod('client'), mesh.pod('proxy'), mesh.pod('server')];
  const program = buildGo(mesh, 'copy-proxy');
  const echo = mesh.spawn(cProgram('torture-echo'), ['serve', server.v4, '9000'], { pod: server });
  await echo.waitFor('listening');
  const copy = mesh.spawn(program, [`${proxy.v4}:9001`, `${server.v4}:9000`, ...args], {
    pod: proxy,
  });
  await copy.waitFor('listening');
  return {
    agent,
    program,
    echo: (connections, concurrent, bytes) =>
      drive(
        mesh,
        cProgram('torture-echo'),
        ['drive', proxy.v4, '9001', ...[connections, concurrent, bytes].map(String)],
        { pod: client, timeoutMs: 240_000 },
      ),
  };
}

test('Go net/http', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const agent = await startAgent({ mesh });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const httpEcho = buildGo(mesh, 'http-echo');
  const echo = mesh.spawn(httpEcho, ['serve', `${server.v4}:8080`], { pod: server });
  await echo.waitFor('listening');
  const load = async (): Promise<void> => {
    await drive(mesh, httpEcho, ['drive', `http://${server.v4}:8080/echo`, '500', '16', '200000'], {
      pod: client,
      expectOk: 500,
    });
  };
  await learn(agent, load, [
    decision('client', httpEcho, 'trusted'),
    decision('server', httpEcho, 'trusted'),
  ]);
  const redirected = await redirectedDuring(agent, load);
  assert.ok(redirected.bytes > 10_000_000, JSON.stringify(redirected));
});

test('a Go proxy with io.Copy works from its first connection on', { skip }, async (t) => {
  const { agent, program, echo } = await proxied(t, []);
  for (const [connections, concurrent, bytes] of [
    [1, 1, 1],
    [50, 1, 10_000],
    [300, 16, 300_000],
  ] as const) {
    const counts = await echo(connections, concurrent, bytes);
    assert.equal(counts['ok'], connections, JSON.stringify(counts));
  }
  assert.ok(await isDecided(agent, decision('proxy', program, 'denied')));
});

test('a Go proxy that splices first on its 1,000th connection', { skip }, async (t) => {
  const { agent, program, echo } = await proxied(t, [String(SPLICE_FROM)]);
  let driven = 0;
  const step = async (connections: number): Promise<Counts> => {
    driven += connections;
    return echo(connections, 1, 20_000);
  };
  await learn(agent, () => step(10), [
    decision('proxy', program, 'trusted'),
    decision('server', cProgram('torture-echo'), 'trusted'),
    decision('client', cProgram('torture-echo'), 'trusted'),
  ]);
  assert.ok(driven < SPLICE_FROM - 100, `learnt only after ${driven} connections`);
  const redirected = await redirectedDuring(agent, async () => {
    const counts = await step(SPLICE_FROM - 1 - driven);
    assert.deepEqual([counts['reset'], counts['hung'], counts['short']], [0, 0, 0]);
  });
  assert.ok(redirected.bytes > 0, 'it was not spliced before');

  const counts = await step(200);
  assert.equal(counts['hung'], 0, JSON.stringify(counts));
  assert.equal(counts['corrupt'], 0, JSON.stringify(counts));
  assert.ok((counts['ok'] ?? 0) >= 199, `at most one may fail: ${JSON.stringify(counts)}`);
  await learn(agent, () => step(1), [decision('proxy', program, 'denied')]);
});
