/** Authority, baggage, forwarded and traceparent: what a stranger may write into them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { isNeverTunnelled, parseAuthority } from '../../../src/hbone/authority.ts';
import {
  type Baggage,
  formatBaggage,
  formatForwarded,
  forwardedHost,
  newTraceparent,
  parseBaggage,
  parseTraceparent,
} from '../../../src/hbone/headers.ts';
import { hostPort } from '../../../src/model/host-port.ts';
import type { Ip } from '../../../src/model/ip.ts';

suite('authority', () => {
  const right: Readonly<Record<string, object>> = {
    '10.0.0.1:80': { kind: 'address', address: '10.0.0.1', port: 80 },
    '[fd00::1]:65535': { kind: 'address', address: 'fd00::1', port: 65_535 },
    '[FD00:0::1]:1': { kind: 'address', address: 'fd00::1', port: 1 },
    '[::ffff:10.0.0.1]:80': { kind: 'address', address: '10.0.0.1', port: 80 },
    'web.default.svc.cluster.local:8080': {
      kind: 'host',
      host: 'web.default.svc.cluster.local',
      port: 8080,
    },
    'WEB.default.:80': { kind: 'host', host: 'web.default', port: 80 },
    'a_b:80': { kind: 'host', host: 'a_b', port: 80 },
  };
  for (const [text, expected] of Object.entries(right))
    test(text, () => assert.deepEqual(parseAuthority(text), expected));

  const wrong = [
    ...['', ':', ':80', 'a', 'a:', 'a:0', 'a:080', 'a:65536', 'a:99999', 'a:1x', 'a: 1', ' a:1'],
    ...['10.0.0.1', '10.0.0.01:80', '10.0.0.256:80', '127.1:80', '0x7f.1:80', '2130706433:80'],
    ...['1.2.3.4.5:80', 'fd00::1:80', '[fd00::1]', '[fd00::1]80', '[10.0.0.1]:80', '[a]:80'],
    ...[
      '[fe80::1%eth0]:80',
      '[::1:80',
      '::1]:80',
      '[]:80',
      '[:]:80',
      'user@a:80',
      'a:80/',
      'a/b:80',
    ],
    ...['a..b:80', '.a:80', '-a:80', 'a-:80', 'a\0:80', 'ä:80', `${'a'.repeat(64)}:80`, 'a:80\n'],
    ...[`${'a.'.repeat(130)}a:80`, 'x'.repeat(10_000)],
  ];
  test('what is refused', () => {
    for (const text of wrong) assert.equal(parseAuthority(text), undefined, JSON.stringify(text));
  });

  test('what it returns is what was written, and noise is refused or canonical', () => {
    const noise = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.stringMatching(/^[0-9a-f.:[\]x-]{0,30}$/),
      fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([ip, port]) => `[${ip}]:${port}`),
      fc.tuple(fc.ipV4Extended(), fc.nat(70_000)).map(([ip, port]) => `${ip}:${port}`),
      fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
    );
    fc.assert(
      fc.property(noise, (text) => {
        const one = parseAuthority(text);
        if (!one) return;
        assert.ok(one.port > 0 && one.port < 65_536);
        const again =
          one.kind === 'host' ? `${one.host}:${one.port}` : hostPort(one.address, one.port);
        assert.deepEqual(parseAuthority(again), one);
      }),
      { numRuns: 5000 },
    );
  });

  test('addresses where no tunnel ends', () => {
    const never = [
      ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '169.254.1.1', '224.0.0.1', '255.255.255.255'],
      ...['::', '::1', 'fe80::1', 'febf::1', 'ff02::1'],
    ];
    for (const ip of never) assert.equal(isNeverTunnelled(ip as Ip), true, ip);
    for (const ip of ['10.0.0.1', '128.0.0.1', '169.253.0.1', '223.1.1.1', 'fd00::1', 'fec0::1'])
      assert.equal(isNeverTunnelled(ip as Ip), false, ip);
  });
});

suite('baggage', () => {
  const whole: Baggage = {
    cluster: 'Kubernetes',
    namespace: 'default',
    workloadType: 'deployment',
    workloadName: 'web',
    serviceName: 'web',
    serviceVersion: 'v1',
    region: 'r',
    zone: 'z',
  };

  test("ztunnel's order, empty ones left out", () => {
    assert.equal(
      formatBaggage(whole),
      'k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=web,' +
        'service.name=web,service.version=v1,cloud.region=r,cloud.availability_zone=z',
    );
    assert.equal(formatBaggage({ namespace: 'a', serviceVersion: '' }), 'k8s.namespace.name=a');
    assert.equal(formatBaggage({ namespace: 'a,b=c', cluster: 'x' }), 'k8s.cluster.name=x');
    assert.deepEqual(parseBaggage(formatBaggage(whole)), whole);
  });

  test('unknown and broken members are ignored, too much is refused', () => {
    const text = ' x=y ,k8s.pod.name = p;prop=1,,=,a,k8s.cluster.name="q",service.name=s';
    assert.deepEqual(parseBaggage(text), {
      workloadType: 'pod',
      workloadName: 'p',
      serviceName: 's',
    });
    assert.equal(parseBaggage('a=b,'.repeat(40)), undefined);
    assert.equal(parseBaggage(`a=${'b'.repeat(5000)}`), undefined);
  });

  test('noise is parsed or refused', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        const baggage = parseBaggage(text);
        if (baggage) assert.deepEqual(parseBaggage(formatBaggage(baggage)), baggage);
      }),
      { numRuns: 3000 },
    );
  });
});

test('forwarded: brackets for IPv6, a host only if it is one', () => {
  assert.equal(formatForwarded({ address: '10.0.0.1', port: 5 }), 'for="10.0.0.1:5"');
  const text = formatForwarded({ address: 'fd00::1', port: 5 }, 'web.default');
  assert.equal(text, 'for="[fd00::1]:5";host=web.default');
  assert.equal(forwardedHost(text), 'web.default');
  assert.equal(forwardedHost('for=x;host="a.b", for=y;host=c'), 'a.b');
  assert.equal(forwardedHost('for=x;host="a b"'), undefined);
  assert.equal(forwardedHost('for=x'), undefined);
  assert.equal(formatForwarded({ address: '1.1.1.1', port: 1 }, 'a"b'), 'for="1.1.1.1:1"');
});

test('traceparent', () => {
  assert.match(newTraceparent(), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.ok(parseTraceparent(newTraceparent()));
  assert.equal(parseTraceparent(`00-${'0'.repeat(32)}-${'1'.repeat(16)}-00`), undefined);
  assert.equal(parseTraceparent('00-x'), undefined);
});
