/**
 * The certificate source that the options name; what it needs is loaded when it is used.
 */
import type {
  CertificateOptions,
  CertificateSourceOptions,
} from '../../config/certificate-options.ts';
import type { CertificateSource } from '../../identity/certificate-source.ts';
import type { Log } from '../../log.ts';
import type { ClientCredential } from '../../xds/client/client-tls.ts';

export interface OpenSourceOptions {
  readonly options: CertificateOptions;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly stateDir: string;
  /** this machine's membership, where it joined by a token */
  readonly credential: ClientCredential | undefined;
  readonly log: Log;
}

/** undefined: there is none, see `options.source.reason`. */
export async function openCertificateSource(
  setup: OpenSourceOptions,
): Promise<CertificateSource | undefined> {
  const { options, trustDomain, stateDir, log } = setup;
  const { source, lifeSeconds } = options;
  switch (source.kind) {
    case 'none':
      return undefined;
    case 'embedded': {
      const { EmbeddedSource } = await import('./embedded-source.ts');
      const { files } = source;
      return new EmbeddedSource({ trustDomain, files, stateDir, lifeSeconds, log });
    }
    case 'spire': {
      const { createCodec } = await import('../../xds/codec.ts');
      const { SpireSource } = await import('../../identity/spire-source.ts');
      return new SpireSource({ ...source, definition: createCodec().delegatedIdentity });
    }
    case 'ca':
      return caSource(setup, source);
  }
}

async function caSource(
  { options, clusterId, credential }: OpenSourceOptions,
  source: CertificateSourceOptions & { readonly kind: 'ca' },
): Promise<CertificateSource> {
  const { createCodec } = await import('../../xds/codec.ts');
  const { CertificateClient } = await import('../../xds/client/certificate-client.ts');
  const { CaSource, tokenIn } = await import('../../identity/ca-source.ts');
  const { servers, rootFile, serverName, tokenFile } = source;
  const client = new CertificateClient({
    servers,
    rootFile,
    serverName,
    clusterId,
    definition: createCodec().certificates,
  });
  return new CaSource({
    name: servers.map(({ name }) => name).join(','),
    ask: (question) => client.ask(question),
    credential: () => {
      if (tokenFile !== undefined) return tokenIn(tokenFile);
      if (credential !== undefined) return credential.current();
      throw new Error('the agent has nothing to prove itself with: give a token (--ca-token FILE)');
    },
    roots: () => credential?.roots() ?? '',
    lifeSeconds: options.lifeSeconds,
  });
}
