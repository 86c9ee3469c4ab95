/**
 * A folder with mistakes in it, and an agent that cannot start: each mistake is told once, with file, resource and field, and
 * everything else applies; an agent that refuses says one thing, and leaves nothing in the kernel.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { PodView, ServiceView, StatusView } from '../../src/admin/view.ts';
import type { Finding } from '../../src/model/finding.ts';
import { podResource, startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { command, makeCgroup, removeCgroup, skipReason, uniqueName } from '../support/node.ts';
import { startPuppet, until } from '../support/puppet.ts';
import { podWith, service } from '../support/resources.ts';
import { repositoryRoot } from '../support/repository.ts';

const PORT = 8080;
const VIP = '198.18.0.1';
const NETNS_FIELD = "metadata.annotations.'podwire.io/netns'";

test('a folder with mistakes', { skip: skipReason('python3') }, async (t) => {
  const names = ['client', 'server', 'late', 'nowhere', 'double'];
  const mesh = createMesh(t, { pods: names.map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const [late, nowhere, double, server] = ['late', 'nowhere', 'double', 'server'].map((name) =>
    mesh.pod(name),
  );
  const nameless = podResource(nowhere!) as Record<string, unknown>;
  agent.writeResource(
    'mesh.yaml',
    ['client', 'server'].map((name) => podResource(mesh.pod(name))),
  );
  agent.writeResource('no-address.yaml', [{ ...nameless, status: { phase: 'Running' } }]);
  agent.writeResource('same-address.yaml', [podResource({ ...double!, v4: server!.v4 })]);
  const lateNetns = `${late!.netns}-later`;
  agent.writeResource('late.yaml', [
    podWith(late!, { annotations: { 'podwire.io/netns': lateNetns } }),
  ]);
  const selector = { app: 'server' };
  agent.writeResource('services.yaml', [
    service({ name: 'bad', addresses: ['198.18.0.9'], port: 70000, targetPort: PORT, selector }),
    service({ name: 'good', addresses: [VIP], port: 80, targetPort: PORT, selector }),
  ]);
  writeFileSync(join(agent.configFolder, 'broken.yaml'), 'kind: [Pod\n  name: x\n');

  await t.test('each is told once, with file, resource and field', async () => {
    const expected = [
      ['broken.yaml', '', '', 'YAML_INVALID'],
      ['late.yaml', 'Pod default/late', NETNS_FIELD, 'NETNS_MISSING'],
      ['no-address.yaml', 'Pod default/nowhere', 'status.podIPs', 'POD_NO_ADDRESS'],
      ['services.yaml', 'Service default/bad', 'spec.ports[0].port', 'FIELD_INVALID'],
    ];
    const findings = await until('the findings', async () => {
      const found = (await agent.admin('/v1/findings')) as Finding[];
      return found.length >= 5 ? found : undefined;
    });
    const errors = findings
      .filter(({ severity }) => severity === 'error')
      .map(({ file, resource, path, code }) => [file, resource, path, code]);
    const conflict = errors.filter(([, , , code]) => code === 'ADDRESS_CONFLICT');
    assert.equal(conflict.length, 1);
    assert.equal(conflict[0]![2], 'status.podIPs');
    assert.deepEqual(
      errors.filter(([, , , code]) => code !== 'ADDRESS_CONFLICT'),
      expected,
    );
    for (const { message, fix } of findings) assert.ok(message !== '' && fix !== '');
    const logged = (): number =>
      agent.log.filter((line) => line['code'] !== undefined && line['level'] === 'error').length;
    /* A change of the folder is logged a moment after it applies, once for all of it. */
    await until('the log', () => Promise.resolve(logged() >= errors.length || undefined));
    assert.equal(logged(), errors.length, 'one line in the log for each');
  });

  await t.test('everything else applies', async () => {
    const [client, target] = [
      await startPuppet(mesh, mesh.pod('client')),
      await startPuppet(mesh, server!),
    ];
    await target.listen(server!.v6, PORT, { mode: 'name', name: 'server' });
    await target.listen(server!.v4, PORT, { mode: 'name', name: 'server' });
    const services = (await agent.admin('/v1/services')) as ServiceView[];
    const winner = services
      .find(({ name }) => name === 'good')
      ?.ports[0]?.endpoints.map(({ workload }) => workload);
    assert.ok(winner?.includes('default/server') || winner?.length === 0, JSON.stringify(winner));
    const pods = (await agent.admin('/v1/pods')) as PodView[];
    assert.ok(pods.some(({ name, state }) => name === 'client' && state === 'captured'));
    const answer = await client.dial(server!.v6, PORT, 3);
    assert.deepEqual(answer, { server: 3 });
  });

  await t.test(
    'a namespace that is missing is named, and the pod captured when it appears',
    async () => {
      const failed = await until('the failure', async () =>
        ((await agent.admin('/v1/pods')) as PodView[]).find(({ state }) => state === 'failed'),
      );
      assert.equal(failed.name, 'late');
      assert.match(failed.reason, new RegExp(`${lateNetns} does not exist`));
      const status = (await agent.admin('/v1/status')) as StatusView;
      assert.ok(status.findings.errors >= 1);
      const lines = agent.log.filter((line) => String(line['msg']).includes('pod not captured'));
      assert.equal(lines.length, 1);
      for (const part of ['late.yaml', 'Pod default/late', NETNS_FIELD, lateNetns]) {
        assert.ok(String(lines[0]!['msg']).includes(part), `${part}: ${String(lines[0]!['msg'])}`);
      }
      command('ip', ['netns', 'add', lateNetns]);
      mesh.defer(() => {
        command('ip', ['netns', 'del', lateNetns]);
      });
      await until('capture', async () =>
        ((await agent.admin('/v1/pods')) as PodView[]).some(
          ({ name, state }) => name === 'late' && state === 'captured',
        ),
      );
      const left = (await agent.admin('/v1/findings')) as Finding[];
      assert.ok(!left.some(({ code }) => code === 'NETNS_MISSING'), 'gone with its reason');
    },
  );

  await t.test('mended files clear their findings', async () => {
    for (const file of ['broken', 'no-address', 'same-address', 'services']) {
      rmSync(join(agent.configFolder, `${file}.yaml`));
    }
    await until('no finding', async () => {
      return ((await agent.admin('/v1/findings')) as Finding[]).length === 0;
    });
  });
});

test('an agent that cannot start', { skip: skipReason('bpftool', 'setpriv') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  chmodSync(folder, 0o755);
  const [config, bpffs, file] = [join(folder, 'config'), join(folder, 'bpf'), join(folder, 'file')];
  for (const path of [config, bpffs]) mkdirSync(path, { mode: 0o755 });
  writeFileSync(file, '');
  command('mount', ['-t', 'bpf', 'bpf', bpffs]);
  const [cgroup, other] = [makeCgroup(uniqueName()), makeCgroup(uniqueName())];
  t.after(() => {
    for (const path of [cgroup, other]) removeCgroup(path);
    command('umount', ['--lazy', bpffs]);
    rmSync(folder, { recursive: true });
  });
  const admin = join(folder, 'admin.sock');
  const main = join(repositoryRoot(), 'dist/src/main.js');
  const start = (
    changes: Readonly<Record<string, string>>,
    prefix: readonly string[],
  ): { code: number | null; message: string } => {
    const state = join(folder, 'state');
    const options = Object.entries({
      ...{ config, cgroup, bpffs, admin, metrics: 'off', 'state-dir': state, ...changes },
    }).flatMap(([name, value]) => [`--${name}`, value]);
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const args = ['-c', enter, cgroup, ...prefix, process.execPath, main, 'agent', ...options];
    const done = spawnSync('sh', args, { encoding: 'utf8', timeout: 20_000 });
    // the log's lines are JSON; what is left is the message
    const lines = done.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    return { code: done.status, message: lines.join('\n') };
  };

  const rival = createServer().listen(0, '127.0.0.1');
  await once(rival, 'listening');
  t.after(() => rival.close());
  const taken = `127.0.0.1:${(rival.address() as AddressInfo).port}`;
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  for (const [what, changes, prefix, code, message] of [
    ['without root', {}, nobody, 3, /must run as root \[ERR_NOT_ROOT\]/],
    ['no cgroup v2', { cgroup: folder }, [], 3, /cgroup v2 hierarchy \[ERR_NO_CGROUP2\]/],
    ['a cgroup it is not in', { cgroup: other }, [], 2, /does not hold the agent itself/],
    ['no bpffs', { bpffs: file }, [], 3, /no bpffs .* \[ERR_NO_BPFFS\]/],
    ['no config', { config: join(folder, 'none') }, [], 2, /none/],
    ['a port in use', { metrics: taken }, [], 2, /EADDRINUSE|in use/],
    ['bad options', { metrics: 'here', 'log-level': 'loud' }, [], 2, /--metrics .*--log-level/],
  ] as const) {
    await t.test(what, () => {
      const done = start(changes, prefix);
      assert.equal(done.code, code, done.message);
      assert.match(done.message, message);
      assert.equal(done.message.match(/\[ERR_/g)?.length, 1, done.message);
      assert.match(done.message, /try: /, 'what to do');
      for (const path of [cgroup, other]) {
        assert.equal(command('bpftool', ['cgroup', 'show', path]).trim(), '');
      }
      const pins = readdirSync(bpffs, { recursive: true }).map(String);
      assert.deepEqual(
        pins.filter((pin) => /^podwire\/(links|pods|gen-[^/]*)\/./.test(pin)),
        [],
      );
      assert.ok(!existsSync(admin));
    });
  }
});
