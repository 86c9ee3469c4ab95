/**
 * The inspecting verbs against real processes: control on a folder, an agent that has its mesh from it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { stringify } from 'yaml';
import type { ResourceView } from '../../src/admin/resource-view.ts';
import type { PolicyView } from '../../src/admin/view.ts';
import { launchAgent, mainProgram, meshResources, placesOf } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { killQuietly, skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { fromAccounts, policy } from '../support/resources.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function podwire(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, [mainProgram(), ...args]);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

test('what agent and control hold', { skip: skipReason() }, async (t) => {
  const mesh = createMesh(t, { pods: ['alice', 'server'].map((name) => ({ name })) });
  const folder = join(mesh.folder, 'mesh');
  mkdirSync(folder);
  const save = (...accounts: readonly string[]): void => {
    const rules = [fromAccounts(...accounts)];
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: 'default' },
      spec: {
        clusterIP: '10.96.0.9',
        selector: { app: 'server' },
        ports: [{ port: 80, targetPort: 8080 }],
      },
    };
    const only = policy({ name: 'only', app: 'server', action: 'ALLOW', rules });
    const documents = meshResources(mesh, [service, only]).map((one) => stringify(one));
    writeFileSync(join(folder, 'mesh.yaml'), documents.join('---\n'));
  };
  save('alice');
  const control = join(mesh.folder, 'control.sock');
  const xds = `unix:${join(mesh.folder, 'xds.sock')}`;
  const served = spawn(process.execPath, [
    ...[mainProgram(), 'control', '--config', folder, '--listen', xds, '--plaintext'],
    ...['--admin', control, '--metrics', 'off', '--drain', '0'],
    ...['--state-dir', join(mesh.folder, 'control-state')],
  ]);
  const ended = once(served, 'close');
  mesh.defer(async () => {
    killQuietly(served.pid ?? 0, 'SIGTERM');
    await ended;
  });
  const agent = launchAgent({ mesh, args: ['--xds', xds] });
  await agent.waitForLog('ready');
  const { socket } = placesOf(mesh);
  const asked = ['--admin', socket, '--control', control];
  const list = async <T>(...args: string[]): Promise<T> => {
    const { stdout, stderr, code } = await podwire(...args, ...asked, '-o', 'json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  };

  await t.test('every verb answers from both', async () => {
    for (const verb of ['services', 'workloads', 'endpoints', 'policies']) {
      for (const from of ['agent', 'control']) {
        const rows = await list<readonly unknown[]>(verb, '--from', from);
        assert.ok(rows.length > 0, `${verb} from ${from}`);
      }
    }
    for (const verb of ['listeners', 'routes', 'clusters']) {
      const held = await list<readonly ResourceView[]>(verb);
      const sent = await list<readonly ResourceView[]>(verb, '--from', 'control');
      assert.deepEqual(
        held.map(({ name }) => name).sort(),
        sent.map(({ name }) => name).sort(),
        verb,
      );
    }
  });

  await t.test('an agent that is up to date differs in nothing', async () => {
    const verbs = [
      'services',
      'workloads',
      'endpoints',
      'policies',
      'listeners',
      'routes',
      'clusters',
    ];
    for (const verb of verbs) {
      assert.deepEqual(await list(verb, '--diff'), [], verb);
    }
  });

  await t.test('policies say for which pod, where, and in words', async () => {
    const { stdout } = await podwire('policies', ...asked);
    assert.match(
      stdout,
      /^default\/server +default\/only +ALLOW +WORKLOAD_SELECTOR +kernel +.*alice.*$/m,
    );
    const [only] = await list<readonly PolicyView[]>('policies');
    assert.deepEqual(only?.pods, ['default/server']);
  });

  await t.test('an agent that does not answer is stale, until it does', async () => {
    const stateOf = async (): Promise<string> => {
      const { stdout } = await podwire('status', '--from', 'control', '--control', control);
      return stdout;
    };
    process.kill(agent.pid, 'SIGSTOP');
    try {
      save('alice', 'bob');
      await until('control waits for it', async () => (await stateOf()).includes('stale 1'));
    } finally {
      process.kill(agent.pid, 'SIGCONT');
    }
    await until('it has answered', async () => !(await stateOf()).includes('stale'));
    const policies = await list<readonly PolicyView[]>('policies');
    assert.match(policies[0]?.text[0] ?? '', /bob/);
    assert.deepEqual(await list('policies', '--diff'), []);
  });

  await t.test('status of all nodes and of this one', async () => {
    const nodes = await podwire('status', '--from', 'control', ...asked.slice(2));
    assert.match(nodes.stdout, /^NODE +CLUSTER +ADDRESSES +POLICIES /m);
    assert.match(nodes.stdout, / synced 3 +synced 1 /);
    const { stdout } = await podwire('status', '--admin', socket);
    assert.match(stdout, /^addresses +synced +3 /m);
  });
});
