/**
 * The admission webhook asked by a real API server: who applies a resource is told what is wrong with it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshChecks } from '../../src/control/validate/mesh/mesh-checks.ts';
import { Webhook } from '../../src/control/webhook/server.ts';
import { createLog } from '../../src/log.ts';
import { selfSigned } from '../support/certificate.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { create, installKind } from './objects.ts';

const GROUP = 'networking.istio.io';
const PATH = `/apis/${GROUP}/v1/namespaces/default/virtualservices`;
const WAIT_MS = 30_000;

let kubernetes: Kubernetes;
let webhook: Webhook;

before(async () => {
  kubernetes = await startKubernetes();
  await installKind(kubernetes.admin, GROUP, 'v1', 'VirtualService', 'virtualservices');
  const own = selfSigned();
  const checks = new MeshChecks({ domain: 'cluster.local', rootNamespace: 'istio-system' });
  webhook = new Webhook({
    ...own,
    host: '127.0.0.1',
    port: 0,
    cluster: kubernetes.name,
    preview: (resource) => checks.preview(resource),
    log: createLog({ level: 'silent', pretty: false }),
  });
  const port = await webhook.start();
  const path = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
  await create(kubernetes.admin, path, {
    metadata: { name: 'podwire' },
    webhooks: [
      {
        name: 'validate.podwire.io',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Ignore',
        timeoutSeconds: 5,
        clientConfig: {
          url: `https://127.0.0.1:${port}/validate`,
          caBundle: Buffer.from(own.cert).toString('base64'),
        },
        rules: [
          {
            apiGroups: [GROUP],
            apiVersions: ['*'],
            resources: ['*'],
            operations: ['CREATE', 'UPDATE'],
          },
        ],
      },
    ],
  });
});

after(async () => {
  await webhook?.close();
  await kubernetes?.stop();
});

const good = { hosts: ['web'], http: [{ route: [{ destination: { host: 'web' } }] }] };
const bad = { hosts: ['web'], http: [{ timeout: 'soon' }] };

async function apply(name: string, spec: object): Promise<Error | undefined> {
  try {
    const type = { apiVersion: `${GROUP}/v1`, kind: 'VirtualService' };
    await create(kubernetes.admin, PATH, { ...type, metadata: { name }, spec });
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

test('a real API server refuses what the webhook denies, and takes the rest', async () => {
  // A new webhook is asked a moment after it is registered.
  const deadline = performance.now() + WAIT_MS;
  let refusal = await apply('bad-0', bad);
  for (let index = 1; refusal === undefined && performance.now() < deadline; index++) {
    await sleep(200);
    refusal = await apply(`bad-${index}`, bad);
  }
  assert.match(String(refusal?.message), /VirtualService default\/bad-[0-9]+: spec\.http\[0\]/);
  assert.equal(await apply('good', good), undefined);

  await webhook.close();
  assert.equal(await apply('late', bad), undefined, "control that is away is in nobody's way");
});
