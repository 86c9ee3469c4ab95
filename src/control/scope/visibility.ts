/**
 * Who may see what, as the translation of exportTo, Sidecar and Gateway resources says.
 */
export interface Visibility {
  /** whether pods of the namespace may see the Service ("namespace/hostname") */
  serviceVisible(clientNamespace: string, service: string): boolean;
  /** everybody sees everything, and need not ask */
  readonly hidesNothing: boolean;
  /** another number: the answers may have changed */
  readonly version: number;
}

/** A node, as far as Secrets are concerned. */
export interface SecretAsker {
  readonly cluster: string;
  readonly node: string;
  /** whether a pod of the class ("<namespace>~<class>") is there */
  readonly hasScope: (scope: string) => boolean;
}

export interface GatewayPlacement {
  /** Whether a pod of that node serves the gateway ("namespace/name"). */
  runsAt(gateway: string, cluster: string, node: string): boolean;
  /** Whether a gateway with a pod there, or a pod there that originates TLS, uses the Secret (its xDS name). */
  isSecretUsedAt(secret: string, asker: SecretAsker): boolean;
  /** another number: the answers may have changed */
  readonly version: number;
}

export const ALL_VISIBLE: Visibility = {
  serviceVisible: () => true,
  hidesNothing: true,
  version: 0,
};

export const NO_GATEWAYS: GatewayPlacement = {
  runsAt: () => false,
  isSecretUsedAt: () => false,
  version: 0,
};
