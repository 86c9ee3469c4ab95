/**
 * networking.istio.io Gateway.
 */
import type { Labels, PortSpec, SpecResource } from './spec.ts';

export type GatewayResource = SpecResource<'Gateway', GatewaySpec>;

export interface GatewaySpec {
  readonly servers?: readonly ServerSpec[];
  /** pods that serve it */
  readonly selector?: Labels;
}

export interface ServerSpec {
  readonly name?: string;
  readonly port: PortSpec & {
    readonly number: number;
    readonly protocol: string;
    readonly name: string;
  };
  readonly bind?: string;
  /** "host", "ns/host", "./host" or "*" + "/host" */
  readonly hosts: readonly string[];
  readonly tls?: ServerTlsSettings;
  readonly defaultEndpoint?: string;
}

export type TlsVersion = 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';

export interface ServerTlsSettings {
  readonly httpsRedirect?: boolean;
  readonly mode?:
    'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
  readonly serverCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly caCrl?: string;
  /** a Secret in the namespace of the gateway's pods */
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly verifyCertificateSpki?: readonly string[];
  readonly verifyCertificateHash?: readonly string[];
  readonly minProtocolVersion?: TlsVersion;
  readonly maxProtocolVersion?: TlsVersion;
  readonly cipherSuites?: readonly string[];
}
