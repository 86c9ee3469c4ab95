/**
 * A real Kubernetes API server of a test: etcd and kube-apiserver (test/apps/kubernetes) on loopback ports of their own,
 * with a folder of their own.  No kubelet and no controllers: what exists is what the test creates.
 *
 * Both processes are told by the kernel to end with this one, so that nothing is left of a test that was killed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { freePorts } from './free-ports.ts';
import { repositoryRoot } from './repository.ts';

const START_MS = 120_000;
const ADMIN_TOKEN = 'admin-of-this-test';
export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface TokenOptions {
  /** `istio-ca` when absent */
  readonly audience?: string;
  readonly boundPod?: { readonly name: string; readonly uid: string };
}

export type Component = 'etcd' | 'kube-apiserver';

interface KubernetesOptions {
  /** of the cluster and its context in the kubeconfig */
  readonly name?: string;
  readonly apiServerArgs?: readonly string[];
}

export function kubernetesProgram(): string {
  const path = join(repositoryRoot(), 'test/apps/.output/kubernetes');
  if (!existsSync(path))
    throw new Error(`${path} does not exist; fix: sh test/support/setup.sh test`);
  return path;
}

/** Stop it in `after`: it also ends when this process does. */
export async function startKubernetes(options: KubernetesOptions = {}): Promise<Kubernetes> {
  const kubernetes = new Kubernetes(options);
  try {
    await kubernetes.prepare();
    await kubernetes.start('etcd');
    await kubernetes.start('kube-apiserver');
  } catch (error) {
    await kubernetes.stop();
    throw error;
  }
  return kubernetes;
}

export class Kubernetes {
  readonly name: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'podwire-kubernetes-'));
  readonly kubeconfig = join(this.folder, 'kubeconfig');
  readonly signingKey: KeyObject;
  readonly #apiServerArgs: readonly string[];
  readonly #processes = new Map<Component, ChildProcess>();
  readonly #log = new Map<Component, string>();
  #ports = { etcd: 0, peer: 0, api: 0 };
  #admin: KubernetesClient | undefined;
  /** why it was not ready when it was last asked */
  #lastError = '';

  constructor({ name = 'test', apiServerArgs = [] }: KubernetesOptions) {
    this.name = name;
    this.#apiServerArgs = apiServerArgs;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.signingKey = privateKey;
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(join(this.folder, 'accounts.key'), pem, { mode: 0o600 });
    const user = `${ADMIN_TOKEN},admin,admin,"system:masters"\n`;
    writeFileSync(join(this.folder, 'tokens.csv'), user, { mode: 0o600 });
  }

  get url(): string {
    return `https://127.0.0.1:${this.#ports.api}`;
  }

  get apiPort(): number {
    return this.#ports.api;
  }

  get admin(): KubernetesClient {
    if (this.#admin === undefined) throw new Error('the API server has not been started');
    return this.#admin;
  }

  async prepare(): Promise<void> {
    const [etcd, peer, api] = await freePorts(3);
    this.#ports = { etcd: etcd!, peer: peer!, api: api! };
  }

  /** Resolves when it answers; the data of an earlier run are still there. */
  async start(component: Component): Promise<void> {
    const args = component === 'etcd' ? this.#etcdArgs() : this.#apiServerArguments();
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', '--', kubernetesProgram(), component, ...args],
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder },
    );
    this.#processes.set(component, child);
    const keep = (chunk: Buffer): void => {
      const text = (this.#log.get(component) ?? '') + chunk.toString();
      this.#log.set(component, text.slice(-20_000));
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    await this.#untilReady(component, child);
  }

  /** kill -SIGNAL; waits for the end unless the signal only stops or continues. */
  async signal(component: Component, signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT') {
    const child = this.#processes.get(component);
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await ended;
  }

  async restart(component: Component): Promise<void> {
    await this.signal(component, 'SIGKILL');
    await this.start(component);
  }

  async stop(): Promise<void> {
    this.#admin?.close();
    await this.signal('kube-apiserver', 'SIGKILL');
    await this.signal('etcd', 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Forgets every version but the present one. */
  async compact(): Promise<void> {
    const etcd = `http://127.0.0.1:${this.#ports.etcd}/v3`;
    const post = async (path: string, body: unknown): Promise<{ header: { revision: string } }> => {
      const response = await fetch(etcd + path, { method: 'POST', body: JSON.stringify(body) });
      if (!response.ok)
        throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as { header: { revision: string } };
    };
    const { header } = await post('/kv/range', { key: 'AA==' });
    await post('/kv/compaction', { revision: header.revision, physical: true });
  }

  /** A token as the kubelet gets one for a pod (TokenRequest). */
  async createToken(
    namespace: string,
    serviceAccount: string,
    { audience = 'istio-ca', boundPod }: TokenOptions = {},
  ): Promise<string> {
    const boundObjectRef = boundPod && { kind: 'Pod', apiVersion: 'v1', ...boundPod };
    const answer = (await this.admin.call(
      `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
      {
        method: 'POST',
        body: { spec: { audiences: [audience], expirationSeconds: 600, boundObjectRef } },
      },
    )) as { status: { token: string } };
    return answer.status.token;
  }

  /** A kubeconfig for the same cluster under another URL, e.g. of a proxy before it. */
  kubeconfigFor(url: string, name = this.name): string {
    const path = join(this.folder, `kubeconfig-${name}-${new URL(url).port}`);
    writeFileSync(path, JSON.stringify(this.#kubeconfig(url, name)), { mode: 0o600 });
    return path;
  }

  /** A kubeconfig of somebody else. */
  kubeconfigWithToken(token: string): string {
    const path = join(this.folder, `kubeconfig-of-${token.slice(-16)}`);
    writeFileSync(path, JSON.stringify(this.#kubeconfig(this.url, this.name, token)), {
      mode: 0o600,
    });
    return path;
  }

  #kubeconfig(url: string, name: string, token = ADMIN_TOKEN) {
    const ca = readFileSync(join(this.folder, 'apiserver.crt')).toString('base64');
    return {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      clusters: [{ name, cluster: { server: url, 'certificate-authority-data': ca } }],
      users: [{ name, user: { token } }],
      contexts: [{ name, context: { cluster: name, user: name } }],
    };
  }

  #etcdArgs(): string[] {
    const client = `http://127.0.0.1:${this.#ports.etcd}`;
    const peer = `http://127.0.0.1:${this.#ports.peer}`;
    return [
      `--data-dir=${join(this.folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      // What a crash of the machine would lose is of no interest here.
      '--unsafe-no-fsync',
      '--log-level=error',
    ];
  }

  #apiServerArguments(): string[] {
    const key = join(this.folder, 'accounts.key');
    return [
      `--etcd-servers=http://127.0.0.1:${this.#ports.etcd}`,
      `--secure-port=${this.#ports.api}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${this.folder}`,
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      `--service-account-issuer=${ISSUER}`,
      `--token-auth-file=${join(this.folder, 'tokens.csv')}`,
      '--anonymous-auth=false',
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      // It waits for a controller that is not there to make the accounts.
      '--disable-admission-plugins=ServiceAccount',
      '--shutdown-delay-duration=0s',
      ...this.#apiServerArgs,
    ];
  }

  async #untilReady(component: Component, child: ChildProcess): Promise<void> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${component} ended: ${this.#log.get(component) ?? ''}`);
      }
      if (await this.#ready(component)) return;
      if (performance.now() > deadline) {
        const log = this.#log.get(component) ?? '';
        throw new Error(`${component} is not ready: ${this.#lastError}\n${log}`);
      }
      await sleep(50);
    }
  }

  async #ready(component: Component): Promise<boolean> {
    try {
      if (component === 'etcd') {
        return (await fetch(`http://127.0.0.1:${this.#ports.etcd}/readyz`)).ok;
      }
      // kube-apiserver makes itself a certificate at its first start: the key is written last.
      if (!existsSync(this.kubeconfig)) {
        if (!readFileSync(join(this.folder, 'apiserver.key')).includes('END ')) return false;
        writeFileSync(this.kubeconfig, JSON.stringify(this.#kubeconfig(this.url, this.name)));
      }
      this.#admin ??= await loadClient({ kubeconfig: this.kubeconfig });
      await this.#admin.call('/readyz', { timeoutMs: 2000 });
      return true;
    } catch (error) {
      this.#lastError = String(error);
      return false;
    }
  }
}

/** Signed as the API server signs, whatever it says. */
export function signToken(key: KeyObject, claims: Record<string, unknown>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}
