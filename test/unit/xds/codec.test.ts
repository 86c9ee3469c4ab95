/**
 * Messages to bytes and back, field numbers against hand-made bytes, and that nothing is accepted in part.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCodec } from '../../../src/xds/codec.ts';
import { decodeAddress, encodeAddress } from '../../../src/xds/resources/address.ts';
import {
  decodeAuthorization,
  encodeAuthorization,
} from '../../../src/xds/resources/authorization.ts';
import { service, workload } from '../compile/plan-arbitraries.ts';
import { policy } from '../compile/policy-arbitraries.ts';
import { field, message, varint } from './protobuf-bytes.ts';

const codec = createCodec();

test('a Workload and a Service survive the wire', () => {
  fc.assert(
    fc.property(workload, (value) => {
      const address = { kind: 'workload', workload: value } as const;
      assert.deepEqual(decodeAddress(codec, encodeAddress(codec, address)), {
        ok: true,
        value: address,
        warnings: [],
      });
    }),
  );
  fc.assert(
    fc.property(service, (value) => {
      const address = { kind: 'service', service: value } as const;
      assert.deepEqual(decodeAddress(codec, encodeAddress(codec, address)), {
        ok: true,
        value: address,
        warnings: [],
      });
    }),
  );
});

test('an Authorization survives the wire', () => {
  fc.assert(
    fc.property(policy, (value) => {
      assert.deepEqual(decodeAuthorization(codec, encodeAuthorization(codec, value)), {
        ok: true,
        value,
        warnings: [],
      });
    }),
  );
});

test('field numbers are Istio’s', () => {
  const bytes = message(
    field(
      1, // Address.workload
      field(20, 'uid'),
      field(3, Buffer.from([10, 0, 0, 1])),
      varint(5, 1), // tunnel_protocol HBONE
      field(7, 'account'),
      field(16, 'ns/policy'),
      varint(17, 1), // status UNHEALTHY
      field(22, field(1, 'ns/host'), field(2, field(1, varint(1, 80), varint(2, 8080)))),
      varint(25, 1), // network_mode HOST_NETWORK
      field(27, varint(1, 7)), // capacity
    ),
  );
  const decoded = decodeAddress(codec, bytes);
  assert.ok(decoded.ok && decoded.value.kind === 'workload');
  const { uid, addresses, tunnelProtocol, serviceAccount, authorizationPolicies } =
    decoded.value.workload;
  assert.deepEqual(
    [uid, addresses, tunnelProtocol, serviceAccount, authorizationPolicies],
    ['uid', ['10.0.0.1'], 'HBONE', 'account', ['ns/policy']],
  );
  const { healthy, services, hostNetwork, capacity } = decoded.value.workload;
  assert.deepEqual(services, new Map([['ns/host', [{ servicePort: 80, targetPort: 8080 }]]]));
  assert.deepEqual([healthy, hostNetwork, capacity], [false, true, 7]);

  const match = field(2, field(3, field(4))); // matches: principals: presence
  const deny = message(field(1, 'n'), varint(3, 2), varint(4, 1), field(5, field(1, match)));
  const authorization = decodeAuthorization(codec, deny);
  assert.ok(authorization.ok);
  assert.deepEqual(
    [authorization.value.scope, authorization.value.action],
    ['WORKLOAD_SELECTOR', 'DENY'],
  );
  const [found] = authorization.value.rules[0]!.clauses[0]!.matches;
  assert.deepEqual(found!.principals, [{ type: 'presence' }]);
});

test('locality, load balancing and podwire’s extension have their numbers', () => {
  const extension = (...fields: Buffer[]) =>
    message(
      field(
        2, // Address.service
        field(3, 'host'),
        field(8, field(1, Buffer.from([6, 1, 2])), varint(2, 2), varint(3, 1)), // load_balancing
        field(
          10,
          field(1, 'podwire.io/lb'),
          field(2, field(1, 'type.googleapis.com/podwire.v1.LoadBalancer'), field(2, ...fields)),
        ),
      ),
    );
  const decoded = decodeAddress(codec, extension(varint(1, 3), varint(2, 60), varint(3, 9)));
  assert.ok(decoded.ok && decoded.value.kind === 'service');
  const { loadBalancing, lbPolicy, sessionAffinitySeconds, maxConnections } = decoded.value.service;
  assert.deepEqual(loadBalancing, {
    mode: 'FAILOVER',
    routingPreference: ['NETWORK', 'REGION', 'ZONE'],
    healthPolicy: 'ALLOW_ALL',
  });
  assert.deepEqual([lbPolicy, sessionAffinitySeconds, maxConnections], ['least-latency', 60, 9]);
  const newer = decodeAddress(codec, extension(varint(1, 77), varint(3, 9), varint(4, 1)));
  assert.ok(newer.ok && newer.value.kind === 'service');
  assert.deepEqual(
    [newer.value.service.lbPolicy, newer.value.service.maxConnections],
    ['round-robin', 9],
  );

  const where = field(24, field(1, 'r'), field(2, 'z'), field(3, 's'));
  const placed = decodeAddress(codec, message(field(1, field(20, 'uid'), where)));
  assert.ok(placed.ok && placed.value.kind === 'workload');
  assert.deepEqual(placed.value.workload.locality, { region: 'r', zone: 'z', subzone: 's' });
});

const addresses: [string, Buffer, RegExp][] = [
  ['an empty message', message(), /neither a workload nor a service/],
  [
    'an address of 5 bytes',
    message(field(1, field(20, 'u'), field(3, Buffer.alloc(5)))),
    /^workload\.addresses\[0\]: has 5 bytes/,
  ],
  ['no uid', message(field(1, field(1, 'n'))), /^workload\.uid/],
  [
    'a tunnel we do not speak',
    message(field(1, field(20, 'u'), varint(5, 2))),
    /^workload\.tunnel_protocol/,
  ],
  [
    'a tunnel nobody knows',
    message(field(1, field(20, 'u'), varint(5, 9))),
    /^workload\.tunnel_protocol/,
  ],
  [
    'a port out of range',
    message(field(2, field(3, 'h'), field(5, varint(1, 70000)))),
    /^service\.ports\[0\]\.service_port/,
  ],
  [
    'a mode of load balancing to come',
    message(field(2, field(3, 'h'), field(8, varint(2, 9)))),
    /^service\.load_balancing\.mode/,
  ],
  [
    'a scope to come',
    message(field(2, field(3, 'h'), field(8, varint(1, 9), varint(2, 2)))),
    /^service\.load_balancing\.routing_preference\[0\]/,
  ],
  ['garbage', Buffer.from('ffffffffffff', 'hex'), /./],
];

for (const [name, bytes, error] of addresses) {
  test(`an Address is refused: ${name}`, () => {
    const decoded = decodeAddress(codec, bytes);
    assert.ok(!decoded.ok);
    assert.match(decoded.errors[0]!, error);
  });
}

const inMatch = (...parts: Buffer[]): Buffer =>
  message(field(1, 'n'), field(5, field(1, field(2, ...parts))));
const policies: [string, Buffer, RegExp][] = [
  ['a text match of no kind', inMatch(field(1)), /matches\[0\]\.namespaces\[0\]/],
  ['a text match of a kind to come', inMatch(field(3, field(9, 'x'))), /principals\[0\]/],
  ['an extension', inMatch(field(13, field(1, 'x'))), /matches\[0\]\.extensions/],
  [
    'a block of addresses that is none',
    inMatch(field(5, field(1, Buffer.alloc(4)), varint(2, 33))),
    /source_ips\[0\]/,
  ],
  ['a port out of range', inMatch(varint(9, 70000)), /destination_ports\[0\]/],
  ['an action to come', message(field(1, 'n'), varint(4, 2)), /^action/],
  ['a scope to come', message(field(1, 'n'), varint(3, 3)), /^scope/],
];

for (const [name, bytes, error] of policies) {
  test(`an Authorization is refused: ${name}`, () => {
    const decoded = decodeAuthorization(codec, bytes);
    assert.ok(!decoded.ok);
    // what the scan for unknown fields and the decoder say is about the same field
    for (const found of decoded.errors) assert.match(found, error);
  });
}

test('no bytes make the decoders throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      decodeAddress(codec, bytes);
      decodeAuthorization(codec, bytes);
    }),
    { numRuns: 2000 },
  );
});
