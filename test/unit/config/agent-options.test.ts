import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgentOptions, type RawAgentOptions } from '../../../src/config/agent-options.ts';
import { findCgroup2 } from '../../../src/config/cgroup2.ts';
import { PodwireError } from '../../../src/errors.ts';

const MOUNTS = [
  'sysfs /sys sysfs rw 0 0',
  'tmpfs /sys/fs/cgroup tmpfs ro 0 0',
  'cgroup2 /mnt/my\\040groups cgroup2 rw 0 0',
  'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
  'cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0',
].join('\n');

function parse(raw: RawAgentOptions, mounts = MOUNTS) {
  return parseAgentOptions({ config: '/etc/podwire', ...raw }, { mounts: () => mounts });
}

function refusal(raw: RawAgentOptions, mounts = MOUNTS): PodwireError {
  try {
    parse(raw, mounts);
  } catch (error) {
    assert.ok(error instanceof PodwireError, String(error));
    return error;
  }
  assert.fail(`${JSON.stringify(raw)} was accepted`);
}

test('everything but --config has a default', () => {
  assert.deepEqual(parse({}), {
    configDir: '/etc/podwire',
    meshConfig: undefined,
    cgroup: '/sys/fs/cgroup/unified',
    bpffs: '/sys/fs/bpf',
    stateDir: '/var/lib/podwire',
    adminSocket: '/run/podwire/admin.sock',
    metrics: { host: '127.0.0.1', port: 15020 },
    log: { level: 'info', pretty: false },
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    node: undefined,
    splice: true,
    workers: 1,
    tunnelMode: 'other-nodes',
    transport: 'batched',
    xds: undefined,
    certificates: {
      source: { kind: 'embedded', files: undefined },
      lifeSeconds: 86_400,
      crlFile: undefined,
    },
  });
});

test('options cannot be changed once they are parsed', () => {
  assert.ok(Object.isFrozen(parse({})));
});

test('relative paths become absolute', () => {
  assert.equal(parse({ config: 'mesh' }).configDir, `${process.cwd()}/mesh`);
});

for (const [text, expected] of [
  ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
  ['[::]:0', { host: '::', port: 0 }],
  ['off', undefined],
] as const) {
  test(`--metrics ${text} is accepted`, () => {
    assert.deepEqual(parse({ metrics: text }).metrics, expected);
  });
}

for (const [option, raw] of [
  ['--config', { config: undefined }],
  ['--config', { config: '' }],
  ['--bpffs', { bpffs: '' }],
  ['--state-dir', { stateDir: ' ' }],
  ['--admin', { admin: '' }],
  ['--cgroup', { cgroup: '' }],
  ['--metrics', { metrics: '15020' }],
  ['--metrics', { metrics: 'localhost:15020' }],
  ['--metrics', { metrics: '127.0.0.1:65536' }],
  ['--metrics', { metrics: '::1:15020' }],
  ['--metrics', { metrics: '[127.0.0.1]:15020' }],
  ['--log-level', { logLevel: 'loud' }],
  ['--trust-domain', { trustDomain: 'Cluster.Local' }],
  ['--trust-domain', { trustDomain: 'a/b' }],
  ['--cluster-id', { clusterId: 'a//b' }],
  ['--splice', { splice: 'yes' }],
  ['--workers', { workers: '0' }],
  ['--workers', { workers: '65' }],
  ['--workers', { workers: '2.5' }],
] as const satisfies readonly (readonly [string, RawAgentOptions])[]) {
  test(`${option} refuses ${JSON.stringify(raw)} by name, with a fix`, () => {
    const error = refusal(raw);
    assert.equal(error.code, 'ERR_BAD_OPTION');
    assert.match(error.message, new RegExp(`^${option} `));
    assert.match(error.hint ?? '', new RegExp(`^${option}: .`));
  });
}

test('all that is wrong is said at once', () => {
  const error = refusal({ splice: 'maybe', workers: 'x' });
  assert.match(error.message, /--splice .*; --workers /);
});

test('a machine without cgroup v2 is told so, unless one is named', () => {
  const none = 'cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n';
  assert.equal(refusal({}, none).code, 'ERR_NO_CGROUP2');
  assert.equal(parse({ cgroup: '/mnt/cg' }, none).cgroup, '/mnt/cg');
});

test('the usual mount points of cgroup v2 come first', () => {
  assert.equal(findCgroup2(MOUNTS), '/sys/fs/cgroup/unified');
  assert.equal(findCgroup2(`${MOUNTS}\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0`), '/sys/fs/cgroup');
});

test('a mount point with a blank is found as it is', () => {
  assert.equal(findCgroup2('x /mnt/my\\040groups cgroup2 rw 0 0'), '/mnt/my groups');
});

test('--xds needs no --config, and gives the servers in order', () => {
  const { configDir, xds } = parse({
    config: undefined,
    xds: 'istiod:15012, unix:/run/x,http://127.0.0.1:1',
  });
  assert.equal(configDir, undefined);
  assert.deepEqual(
    xds?.servers.map(({ target, plaintext }) => [target, plaintext]),
    [
      ['istiod:15012', false],
      ['unix:/run/x', true],
      ['127.0.0.1:1', true],
    ],
  );
  assert.equal(xds?.protocol, 'auto');
});

for (const [name, raw, option] of [
  ['plaintext to another machine', { xds: 'http://istiod:15010' }, '--xds'],
  ['no port', { xds: 'istiod' }, '--xds'],
  ['nothing', { xds: '' }, '--xds'],
  ['a server twice', { xds: 'a:1,a:1' }, '--xds'],
  ['an unknown variant', { xds: 'a:1', xdsProtocol: 'rest' }, '--xds-protocol'],
  ['a token for nobody', { xdsToken: '/t' }, '--xds-token'],
  ['a join token for nobody', { joinToken: '/t' }, '--join-token'],
  ['a join token in the clear', { xds: 'http://127.0.0.1:1', joinToken: '/t' }, '--join-token'],
  ['two credentials', { xds: 'a:1', joinToken: '/t', xdsToken: '/u' }, '--join-token'],
] as const) {
  test(`xDS options are refused: ${name}`, () => {
    assert.ok(refusal(raw).message.includes(option), refusal(raw).message);
  });
}

test('plaintext to another machine can be allowed', () => {
  assert.equal(parse({ xds: 'http://istiod:15010', xdsPlaintext: true }).xds?.servers.length, 1);
});
