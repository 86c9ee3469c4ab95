/** An admin view with a little of everything, HTTP over both transports, and a folder that goes away. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { startAdminServer, type AdminServer } from '../../../src/admin/server.ts';
import { resourcesView } from '../../../src/admin/resource-view.ts';
import type { AdminActions, AdminView } from '../../../src/admin/view.ts';
import { SAMPLE_SNAPSHOT } from '../../support/sample-resources.ts';

export const SILENT = pino({ level: 'silent' });

export const VIEW: AdminView = {
  status: () => ({
    version: '0.1.0',
    pid: 42,
    startedAt: '2026-01-01T00:00:00.000Z',
    uptimeSeconds: 61,
    ready: false,
    blockers: ['kernel'],
    config: { dir: '/etc/podwire', cgroup: '/cg', bpffs: '/sys/fs/bpf', stateDir: '/s' },
    metrics: null,
    kernel: { generation: 2, abi: 'ab12', adopted: true, older: [1], epoch: 5, pending: 0 },
    splice: { enabled: false, reason: 'switched off' },
    mesh: { snapshot: 3, workloads: 2, services: 1, policies: 1 },
    pods: { captured: 1, failed: 1 },
    connections: { live: 1, spliced: 0 },
    findings: { errors: 1, warnings: 0 },
    xds: null,
    node: null,
    certificates: { source: 'CA ca:15012', reason: '', identities: 2, valid: 1, crl: null },
  }),
  pods: () => [
    {
      namespace: 'shop',
      name: 'web-1',
      state: 'captured',
      reason: '',
      since: '2026-01-01T00:00:00.000Z',
      netns: 'web',
      id: 1,
      identity: 'spiffe://cluster.local/ns/shop/sa/web',
      addresses: ['10.0.0.1', 'fd00::1'],
      capture: 'kernel',
      splice: 'default',
    },
    {
      namespace: 'bank',
      name: 'db-1',
      state: 'failed',
      reason: 'no such namespace',
      since: '2026-01-01T00:00:00.000Z',
      netns: 'db\u001b[31m',
      id: 0,
      identity: 'spiffe://cluster.local/ns/bank/sa/db',
      addresses: ['10.0.0.2'],
      capture: 'proxy',
      splice: 'never,8080=always',
    },
  ],
  connections: () => [
    {
      id: '18446744073709551615',
      source: { address: '10.0.0.1:40000', namespace: 'shop', workload: 'web-1', identity: '' },
      destination: { address: '10.0.0.2:5432', namespace: '', workload: '', identity: '' },
      service: '',
      path: 'plain',
      reason: 'peer-not-local',
      ageMs: 1500,
      bytesSent: 10,
      bytesReceived: 1_500_000,
      bytesSpliced: 0,
      rttUs: null,
    },
  ],
  services: () => [
    {
      namespace: 'shop',
      name: 'db',
      hostname: 'db.shop.svc.cluster.local',
      addresses: ['10.1.0.1'],
      policy: 'least-conn',
      sessionAffinitySeconds: 0,
      locality: { mode: 'UNSPECIFIED', preference: [] },
      maxConnections: 0,
      ports: [
        {
          port: 5432,
          limited: 0,
          endpoints: [
            {
              address: 'fd00::2',
              port: 5432,
              workload: 'shop/db-1',
              node: 'n1',
              locality: 'r1/z1',
              used: true,
              latencyUs: null,
              ready: true,
              weight: 1,
              active: 3,
            },
          ],
        },
        { port: 80, limited: 0, endpoints: [] },
      ],
    },
  ],
  policies: () => [
    {
      namespace: 'shop',
      name: 'own',
      scope: 'NAMESPACE',
      action: 'ALLOW',
      rules: 1,
      dryRun: false,
      pods: ['shop/web-1'],
      form: 'kernel',
      text: ['namespace shop'],
    },
  ],
  resources: (kind) => resourcesView(SAMPLE_SNAPSHOT, kind),
  counters: () => ({ connects: 4, spliced: 0 }),
  trust: () => [
    {
      name: '/usr/sbin/nginx',
      workload: 'shop/web',
      state: 'denied',
      reason: 'splice-out',
      connections: 3,
      quiet: 1,
      since: '2026-01-01T00:00:00.000Z',
    },
  ],
  certificates: () => [
    {
      identity: 'spiffe://cluster.local/ns/shop/sa/web',
      state: 'valid',
      serial: '4a',
      notBefore: '2026-01-01T00:00:00.000Z',
      notAfter: '2026-01-02T00:00:00.000Z',
      renews: '2026-01-01T12:00:00.000Z',
      roots: ['ab'.repeat(32)],
      error: '',
      failures: 0,
    },
    {
      identity: 'spiffe://cluster.local/ns/bank/sa/db',
      state: 'failed',
      serial: '',
      notBefore: '',
      notAfter: '',
      renews: '',
      roots: [],
      error: 'ca:15012: no connection',
      failures: 3,
    },
  ],
  doctor: () => [{ feature: 'btf', decision: 'used', reason: '', evidence: 'vmlinux' }],
  findings: () => [
    {
      code: 'POD_NO_ADDRESS',
      severity: 'error',
      file: 'a.yaml',
      resource: 'Pod shop/x',
      path: 'status.podIPs',
      message: 'has no address',
      fix: 'give it one',
    },
  ],
  configDump: () => ({ big: 12n, huge: 2n ** 64n - 1n }),
};

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestServer {
  readonly socket: string;
  readonly server: AdminServer;
  readonly calls: string[];
}

export async function adminServer(t: TestContext, view: AdminView = VIEW): Promise<TestServer> {
  const socket = join(temporaryFolder(t), 'run', 'admin.sock');
  const calls: string[] = [];
  const actions: AdminActions = {
    shutdown: () => calls.push('shutdown'),
    setLogLevel: (level) => level === 'debug' && calls.push(`level ${level}`) > 0,
  };
  const server = await startAdminServer({ socket, view, actions, log: SILENT });
  t.after(() => server.close());
  return { socket, server, calls };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Target =
  { readonly socketPath: string } | { readonly host: string; readonly port: number };

export function ask(
  target: Target,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const asked = request({ ...target, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/** Bytes as they are; the answer until the server ends the connection. */
export function raw(target: { path: string } | { host: string; port: number }, bytes: string) {
  return new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(target, () => socket.write(bytes));
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    socket.once('error', reject);
    socket.once('close', () => resolve(text));
  });
}
