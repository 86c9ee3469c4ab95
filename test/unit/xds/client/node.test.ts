/**
 * Who the client says it is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf } from '../../../../src/xds/client/node.ts';

const common = { clusterId: 'c1', hostname: 'host', version: '1.2.3' };

test('ztunnel’s id and metadata, from the pod’s environment', () => {
  const { id, metadata } = nodeOf({
    ...common,
    environment: {
      POD_NAME: 'podwire-x',
      POD_NAMESPACE: 'mesh',
      INSTANCE_IP: '10.0.0.7',
      NODE_NAME: 'node-1',
      SERVICE_ACCOUNT: 'podwire',
      ISTIO_META_NETWORK: 'n1',
      ISTIO_META_CLUSTER_ID: 'another',
      ISTIO_METAJSON_LABELS: '{"a":["b",1,null,true]}',
      HOME: '/',
    },
  });
  assert.equal(id, 'ztunnel~10.0.0.7~podwire-x.mesh~mesh.svc.cluster.local');
  const string = (stringValue: string) => ({ stringValue });
  assert.deepEqual(metadata?.fields, {
    NETWORK: string('n1'),
    LABELS: {
      structValue: {
        fields: {
          a: {
            listValue: {
              values: [
                string('b'),
                { numberValue: 1 },
                { nullValue: 'NULL_VALUE' },
                { boolValue: true },
              ],
            },
          },
        },
      },
    },
    NAME: string('podwire-x'),
    NAMESPACE: string('mesh'),
    INSTANCE_IPS: string('10.0.0.7'),
    NODE_NAME: string('node-1'),
    CLUSTER_ID: string('c1'),
    SERVICE_ACCOUNT: string('podwire'),
    PODWIRE_VERSION: string('1.2.3'),
  });
});

test('outside of a pod there is still an id istiod understands', () => {
  const { id } = nodeOf({ ...common, environment: {} });
  assert.equal(id, 'ztunnel~1.1.1.1~host.podwire-system~podwire-system.svc.cluster.local');
});

test('metadata that is no JSON is an error that names the variable', () => {
  const environment = { ISTIO_METAJSON_X: '{' };
  assert.throws(() => nodeOf({ ...common, environment }), /ISTIO_METAJSON_X is no JSON/);
});
