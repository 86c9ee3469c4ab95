/**
 * envoy.extensions.transport_sockets.tls.v3.Secret, decoded: certificates of gateways and of TLS origination.  Names are
 * Istio's: `kubernetes://<namespace>/<name>`, with `-cacert` behind it for the roots of client certificates.
 */
export type Secret =
  | {
      readonly type: 'certificate';
      readonly name: string;
      /** PEM, leaf first */
      readonly chain: string;
      /** PEM; never logged, dumped or written to disk */
      readonly key: string;
    }
  | {
      readonly type: 'roots';
      readonly name: string;
      /** PEM */
      readonly roots: string;
      readonly crl: string;
    };
