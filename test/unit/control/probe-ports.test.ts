/** Which ports of a pod the kubelet calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodResource } from '../../../src/model/resource.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';

function probePorts(spec: Record<string, unknown>): readonly number[] {
  const { resources } = validateDocument(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', namespace: 'b' },
      spec,
      status: { podIPs: [{ ip: '10.0.0.1' }] },
    },
    'f.yaml',
  );
  return (resources[0] as PodResource).probePorts;
}

const main = { name: 'main', image: 'i' };

test('probes of every kind, life-cycle handlers, init containers; each port once', () => {
  const spec = {
    containers: [
      {
        ...main,
        livenessProbe: { httpGet: { port: 80 } },
        readinessProbe: { tcpSocket: { port: 81 } },
        startupProbe: { grpc: { port: 82 } },
        lifecycle: { postStart: { httpGet: { port: 83 } }, preStop: { tcpSocket: { port: 80 } } },
      },
    ],
    initContainers: [{ ...main, name: 'init', startupProbe: { tcpSocket: { port: 70 } } }],
  };
  assert.deepEqual(probePorts(spec), [70, 80, 81, 82, 83]);
});

test('a named port is one of the same container', () => {
  const ports = [{ name: 'web', containerPort: 8080 }];
  const livenessProbe = { httpGet: { port: 'web' } };
  assert.deepEqual(probePorts({ containers: [{ ...main, ports, livenessProbe }] }), [8080]);
  const other = { ...main, name: 'other', livenessProbe };
  assert.deepEqual(probePorts({ containers: [{ ...main, ports }, other] }), []);
});

test('what does not come to the pod is none: exec, another host, no probe', () => {
  const readinessProbe = { httpGet: { host: '127.0.0.1', port: 80 } };
  const livenessProbe = { exec: { command: ['true'] } };
  assert.deepEqual(probePorts({ containers: [{ ...main, readinessProbe, livenessProbe }] }), []);
  assert.deepEqual(probePorts({ containers: [main] }), []);
});
