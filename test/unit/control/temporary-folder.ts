/**
 * A config folder of a test, and a control that watches it.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { startControl, type Control, type ControlUpdate } from '../../../src/control/app.ts';
import { createLog } from '../../../src/log.ts';
import type { Authorization } from '../../../src/model/authorization.ts';
import { authorizationKey } from '../../../src/model/authorization.ts';
import { addressName, type Address } from '../../../src/model/messages.ts';
import type { Service } from '../../../src/model/service.ts';
import type { Workload } from '../../../src/model/workload.ts';

const WAIT_MS = 10_000;

export async function temporaryFolder(t: TestContext, files: Record<string, string> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'podwire-config-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  return dir;
}

/** As editors and kubectl save: beside it, then renamed over it. */
export async function save(dir: string, name: string, text: string): Promise<void> {
  await writeFile(join(dir, `.${name}.tmp`), text);
  await rename(join(dir, `.${name}.tmp`), join(dir, name));
}

/** Everything control has said so far, merged. */
export class Watched {
  readonly addresses = new Map<string, Address>();
  readonly policies = new Map<string, Authorization>();
  last: ControlUpdate | undefined;
  updates = 0;
  #wake: (() => void) | undefined;

  receive(update: ControlUpdate): void {
    for (const name of update.mesh.addresses.removals) this.addresses.delete(name);
    for (const address of update.mesh.addresses.upserts) {
      this.addresses.set(addressName(address), address);
    }
    for (const name of update.mesh.authorizations.removals) this.policies.delete(name);
    for (const policy of update.mesh.authorizations.upserts) {
      this.policies.set(authorizationKey(policy), policy);
    }
    this.last = update;
    this.updates++;
    this.#wake?.();
  }

  workload(path: string): Workload | undefined {
    const address = this.addresses.get(`Kubernetes//Pod/${path}`);
    return address?.kind === 'workload' ? address.workload : undefined;
  }

  service(path: string): Service | undefined {
    const [namespace, name] = path.split('/');
    const address = this.addresses.get(`${namespace}/${name}.${namespace}.svc.cluster.local`);
    return address?.kind === 'service' ? address.service : undefined;
  }

  get workloads(): string[] {
    const names = [...this.addresses.values()].flatMap((address) =>
      address.kind === 'workload' ? [`${address.workload.namespace}/${address.workload.name}`] : [],
    );
    return names.sort();
  }

  get findings(): string[] {
    return (this.last?.findings ?? []).map(({ code, file, resource, path }) =>
      [code, file, resource, path].join(' | '),
    );
  }

  get codes(): string[] {
    return (this.last?.findings ?? []).map(({ code }) => code);
  }

  async until(condition: () => boolean): Promise<void> {
    const deadline = setTimeout(() => this.#wake?.(), WAIT_MS);
    const started = performance.now();
    while (!condition()) {
      if (performance.now() - started >= WAIT_MS) {
        throw new Error(`not reached; findings: ${JSON.stringify(this.last?.findings)}`);
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    clearTimeout(deadline);
  }
}

export async function control(
  t: TestContext,
  dir: string,
): Promise<{ watched: Watched; control: Control }> {
  const watched = new Watched();
  const started = await startControl({
    dir,
    log: createLog({ level: 'silent', pretty: false }),
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    onUpdate: (update) => watched.receive(update),
  });
  t.after(() => started.close());
  return { watched, control: started };
}

/** What a folder with these files gives. */
export async function read(t: TestContext, files: Record<string, string>): Promise<Watched> {
  const { watched } = await control(t, await temporaryFolder(t, files));
  return watched;
}

export function pod(
  name: string,
  ip: string,
  more: { metadata?: string; spec?: string; status?: string } = {},
) {
  return `
apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: shop
${indent(more.metadata ?? `labels: { app: ${name} }`)}
spec:
${indent(more.spec ?? `serviceAccountName: ${name}`)}
status:
  podIPs: [{ ip: "${ip}" }]
${indent(more.status ?? '')}
`;
}

export function policy(spec: string, metadata = ''): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: p
  namespace: shop
${indent(metadata)}
spec:
${indent(spec)}
`;
}

export function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
