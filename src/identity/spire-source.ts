/**
 * Certificates of SPIRE's agent on this node, over its admin socket (Delegated Identity API): one stream for each identity, by the
 * selectors k8s:ns and k8s:sa, and one for the roots.
 *
 * SPIRE makes the keys and renews in its own time; what it pushes is kept here and given when the manager asks.  A stream that
 * breaks is opened again by the next question, which its end provokes; meanwhile what was pushed last is good until it ends.
 */
import { createPrivateKey } from 'node:crypto';
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { parseSpiffe } from '../model/identity.ts';
import type { WireBundles, WireSvids } from '../xds/codec-certificates.ts';
import { CertificateRefusedError } from '../xds/client/certificate-refused-error.ts';
import { AwaitedAnswer } from './awaited-answer.ts';
import type { CertificateSource, IssuedCertificate } from './certificate-source.ts';
import { derElements } from './der.ts';
import { writePem } from './pem.ts';

export interface SpireSourceOptions {
  /** path of the agent's admin socket */
  readonly socket: string;
  /** `createCodec().delegatedIdentity` */
  readonly definition: ServiceDefinition;
}

interface Subscription<T> {
  readonly stream: ClientReadableStream<T>;
  readonly latest: AwaitedAnswer<T>;
}

export class SpireSource implements CertificateSource {
  readonly prefetch = true;
  readonly renews = true;
  readonly name: string;
  readonly #definition: ServiceDefinition;
  readonly #client: Client;
  readonly #svids = new Map<string, Subscription<WireSvids>>();
  #bundles: Subscription<WireBundles> | undefined;
  #listener: (spiffe?: string) => void = () => {};
  #closed = false;

  constructor({ socket, definition }: SpireSourceOptions) {
    this.name = `SPIRE ${socket}`;
    this.#definition = definition;
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
      // the manager's own pauses count
      'grpc.initial_reconnect_backoff_ms': 500,
      'grpc.max_reconnect_backoff_ms': 1_000,
    });
  }

  async issue(spiffe: string): Promise<IssuedCertificate> {
    const [svids, bundles] = await Promise.all([
      this.#svidsOf(spiffe).latest.value(),
      this.#bundlesNow().latest.value(),
    ]);
    const svid = svids.x509_svids.find(({ x509_svid: one }) => idOf(one?.id) === spiffe);
    if (svid === undefined) {
      const others = svids.x509_svids.map(({ x509_svid: one }) => idOf(one?.id)).join(', ');
      throw new CertificateRefusedError(
        `SPIRE has no entry for it with the selectors ${selectorText(spiffe)}` +
          (others && `; only for ${others}`),
      );
    }
    const domain = `spiffe://${parseSpiffe(spiffe)?.trustDomain ?? ''}`;
    const roots = bundles.ca_certificates[domain] ?? Buffer.alloc(0);
    return {
      key: createPrivateKey({ key: svid.x509_svid_key, format: 'der', type: 'pkcs8' }),
      chain: (svid.x509_svid?.cert_chain ?? []).map((der) => writePem('CERTIFICATE', der)),
      roots: derElements(roots)
        .map(({ whole }) => writePem('CERTIFICATE', whole))
        .join(''),
    };
  }

  release(spiffe: string): void {
    const subscription = this.#svids.get(spiffe);
    this.#svids.delete(spiffe);
    subscription?.stream.cancel();
  }

  onChange(listener: (spiffe?: string) => void): void {
    this.#listener = listener;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const { stream } of this.#svids.values()) stream.cancel();
    this.#bundles?.stream.cancel();
    this.#client.close();
    return Promise.resolve();
  }

  #svidsOf(spiffe: string): Subscription<WireSvids> {
    const open = this.#svids.get(spiffe);
    if (open !== undefined) return open;
    const { namespace = '', serviceAccount = '' } = parseSpiffe(spiffe) ?? {};
    const selectors = [`ns:${namespace}`, `sa:${serviceAccount}`];
    const request = { selectors: selectors.map((value) => ({ type: 'k8s', value })) };
    const made = this.#subscribe<WireSvids>('SubscribeToX509SVIDs', request, {
      news: () => this.#listener(spiffe),
      ended: () => {
        // released and asked for again meanwhile: another stream has its place
        if (this.#svids.get(spiffe) === made) this.#svids.delete(spiffe);
      },
    });
    this.#svids.set(spiffe, made);
    return made;
  }

  #bundlesNow(): Subscription<WireBundles> {
    if (this.#bundles !== undefined) return this.#bundles;
    const made = this.#subscribe<WireBundles>(
      'SubscribeToX509Bundles',
      {},
      {
        news: () => this.#listener(),
        ended: () => (this.#bundles = undefined),
      },
    );
    this.#bundles = made;
    return made;
  }

  #subscribe<T>(
    method: string,
    request: object,
    { news, ended }: { readonly news: () => void; readonly ended: () => void },
  ): Subscription<T> {
    const { path, requestSerialize, responseDeserialize } = this.#definition[method]!;
    const stream = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize as (bytes: Buffer) => T,
      request,
      new Metadata(),
    );
    const latest = new AwaitedAnswer<T>();
    stream.on('data', (message: T) => {
      const first = !latest.given;
      latest.give(message);
      // the first one is what somebody waits for
      if (!first) news();
    });
    let over = false;
    const end = (error: Error): void => {
      if (over) return;
      over = true;
      const had = latest.given;
      ended();
      latest.fail(error);
      if (had && !this.#closed) news();
    };
    stream.on('error', (error: ServiceError) => end(refusalOr(error)));
    stream.on('end', () => end(new Error('SPIRE ended the stream')));
    return { stream, latest };
  }
}

function refusalOr(error: ServiceError): Error {
  const refused = error.code === status.PERMISSION_DENIED || error.code === status.UNAUTHENTICATED;
  return refused ? new CertificateRefusedError(error.message) : error;
}

function idOf(id: { trust_domain: string; path: string } | null | undefined): string {
  return id ? `spiffe://${id.trust_domain}${id.path}` : '';
}

function selectorText(spiffe: string): string {
  const { namespace = '', serviceAccount = '' } = parseSpiffe(spiffe) ?? {};
  return `k8s:ns:${namespace}, k8s:sa:${serviceAccount}`;
}
