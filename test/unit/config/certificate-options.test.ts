/** Where certificates come from: by what the options name, and by what they leave out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAgentOptions, type RawAgentOptions } from '../../../src/config/agent-options.ts';
import { PodwireError } from '../../../src/errors.ts';

const CA = { caCert: '/c', caKey: '/k', caRoot: '/r' };

function parse(raw: RawAgentOptions) {
  const folder = raw.xds === undefined ? { config: '/etc/podwire' } : {};
  const options = parseAgentOptions({ ...folder, cgroup: '/cg', ...raw }, { mounts: () => '' });
  return options.certificates;
}

test('a folder: a CA in this process, with a root of its own or with a given one', () => {
  assert.deepEqual(parse({}).source, { kind: 'embedded', files: undefined });
  assert.deepEqual(parse({ ...CA, caChain: 'chain' }).source, {
    kind: 'embedded',
    files: { certificate: '/c', key: '/k', chain: `${process.cwd()}/chain`, roots: '/r' },
  });
});

test('xDS servers: those with TLS are the CA too, by the same credential', () => {
  const options = { xds: 'a:15012,unix:/run/x', xdsToken: '/t', xdsRoot: '/r', xdsServerName: 'n' };
  assert.deepEqual(parse(options).source, {
    kind: 'ca',
    servers: [{ name: 'a:15012', target: 'a:15012', plaintext: false }],
    rootFile: '/r',
    tokenFile: '/t',
    serverName: 'n',
  });
  const none = parse({ xds: 'unix:/run/x' }).source;
  assert.ok(none.kind === 'none' && none.reason.includes('--ca-address'));
});

test('a CA beside the xDS servers: what is not said of it is as for them', () => {
  const xds = { xds: 'unix:/run/x', xdsToken: '/t', xdsRoot: '/r' };
  const { source } = parse({ ...xds, caAddress: 'ca:1,ca:2', caTlsRoot: '/cr' });
  assert.ok(source.kind === 'ca');
  assert.deepEqual(
    [source.servers.length, source.rootFile, source.tokenFile, source.serverName],
    [2, '/cr', '/t', undefined],
  );
  const own = parse({ caAddress: 'ca:1', caToken: '/ct', caServerName: 'n' }).source;
  assert.ok(own.kind === 'ca' && own.tokenFile === '/ct' && own.serverName === 'n');
});

test('SPIRE, a CRL file, a life', () => {
  assert.deepEqual(parse({ spire: '/run/s', crlFile: '/crl', certificateLife: '3600' }), {
    source: { kind: 'spire', socket: '/run/s' },
    lifeSeconds: 3600,
    crlFile: '/crl',
  });
});

for (const [name, raw, option] of [
  ['half a CA', { caCert: '/c' }, '--ca-cert'],
  ['a chain without a CA', { caChain: '/c' }, '--ca-chain'],
  ['two sources', { ...CA, spire: '/s' }, '--ca-address'],
  ['two other sources', { caAddress: 'a:1', caToken: '/t', spire: '/s' }, '--ca-address'],
  ['a token for nobody', { caToken: '/t' }, '--ca-token'],
  ['roots for nobody', { caTlsRoot: '/t' }, '--ca-tls-root'],
  ['a name for nobody', { caServerName: 'n' }, '--ca-server-name'],
  ['no token', { caAddress: 'a:1' }, '--ca-address'],
  ['a CA in the clear', { caAddress: 'http://127.0.0.1:1', caToken: '/t' }, '--ca-address'],
  ['a CA twice', { caAddress: 'a:1,a:1', caToken: '/t' }, '--ca-address'],
  ['no address', { caAddress: 'a', caToken: '/t' }, '--ca-address'],
  ['an empty path', { spire: ' ' }, '--spire'],
  ['a short life', { certificateLife: '59' }, '--certificate-life'],
  ['no life', { certificateLife: '1d' }, '--certificate-life'],
] as const) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parse(raw),
      (error: Error) => error instanceof PodwireError && error.message.includes(option),
    );
  });
}
