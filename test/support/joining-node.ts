/**
 * `podwire control` in a folder of its own, tokens from `podwire token`, and nodes that join: the credential and the xDS
 * client as the agent wires them, without a kernel.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { NodeCredential } from '../../src/identity/node-credential.ts';
import { CertificateClient } from '../../src/xds/client/certificate-client.ts';
import { temporaryDirectory } from './certificates.ts';
import { mainProgram } from './agent.ts';
import { codec, startClient, type ClientUnderTest } from './xds-client.ts';

const run = promisify(execFile);

export class ControlPlace {
  readonly folder: string;
  readonly config: string;
  readonly state: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.config = join(folder, 'control-config');
    this.state = join(folder, 'control-state');
  }

  static async in(folder: string): Promise<ControlPlace> {
    const place = new ControlPlace(folder);
    await mkdir(place.config, { mode: 0o700 });
    await mkdir(place.state, { mode: 0o700 });
    return place;
  }

  static async make(t: TestContext): Promise<ControlPlace> {
    return ControlPlace.in(await temporaryDirectory(t));
  }

  get args(): readonly string[] {
    return ['--config', this.config, '--state-dir', this.state, '--drain', '1'];
  }

  write(file: string, text: string): Promise<void> {
    return writeFile(join(this.config, file), text, { mode: 0o600 });
  }

  /** A file with the roots, as an operator would copy them; control has started. */
  async roots(): Promise<string> {
    const stored = await readFile(join(this.state, 'ca', 'roots-00000001.json'), 'utf8');
    const found = /-----BEGIN CERTIFICATE-----[^"]+?-----END CERTIFICATE-----/.exec(stored);
    const path = join(this.folder, 'roots.pem');
    await writeFile(path, `${found?.[0].replaceAll('\\n', '\n') ?? ''}\n`);
    return path;
  }

  /** A file with a new token. */
  async token(name: string, mode = 0o600): Promise<string> {
    const { stdout } = await this.#tokenVerb('create', '--name', name);
    const path = join(this.folder, `token-${Math.random().toString(36).slice(2)}`);
    await writeFile(path, stdout, { mode });
    return path;
  }

  async revoke(name: string): Promise<void> {
    await this.#tokenVerb('revoke', '--name', name);
  }

  #tokenVerb(...args: readonly string[]): Promise<{ stdout: string }> {
    return run(process.execPath, [mainProgram(), 'token', ...args, '--state-dir', this.state]);
  }
}

export interface NodeOptions {
  /** its state folder */
  readonly folder: string;
  readonly roots: string;
  /** "HOST:PORT" each */
  readonly servers: readonly string[];
  readonly tokenFile?: string;
  readonly lifeSeconds?: number;
}

export interface JoiningNode extends ClientUnderTest {
  readonly credential: NodeCredential;
  stop(): Promise<void>;
}

/** undefined: it has not joined, and has no token */
export async function startNode(
  t: TestContext,
  { folder, roots, servers, tokenFile, lifeSeconds = 0 }: NodeOptions,
): Promise<JoiningNode | undefined> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const targets = servers.map((target) => ({ name: target, target, plaintext: false }));
  const channel = {
    rootFile: roots,
    tokenFile: undefined,
    serverName: undefined,
    clusterId: 'Kubernetes',
  };
  const certificates = new CertificateClient({
    ...channel,
    servers: targets,
    definition: codec.certificates,
  });
  const credential = await NodeCredential.open({
    folder,
    tokenFile,
    lifeSeconds,
    ask: (question) => certificates.ask(question),
    onChange: () => under.client.reconnect(),
    log: pino({ level: 'silent' }),
  });
  if (credential === undefined) return undefined;
  const under: ClientUnderTest = startClient({
    servers: targets,
    channel: { ...channel, credential },
  });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= credential.close().then(() => under.client.close());
    return stopped;
  };
  t.after(stop);
  await credential.start();
  return { ...under, credential, stop };
}
