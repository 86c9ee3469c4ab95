/**
 * Who may see what, as the translation of exportTo, Sidecar and Gateway resources says.
 */
import type { ServiceAccountName } from '../auth/access-rules.ts';

export interface Visibility {
  /** whether pods of the namespace may see the Service ("namespace/hostname") */
  serviceVisible(clientNamespace: string, service: string): boolean;
  /** another number: the answers may have changed */
  readonly version: number;
}

export interface GatewayPlacement {
  /** Accounts whose pods serve the gateway ("namespace/name"). */
  accountsOf(gateway: string): Iterable<ServiceAccountName>;
  /** Accounts whose pods serve a gateway that uses the Secret (its xDS name). */
  accountsOfSecret(secret: string): Iterable<ServiceAccountName>;
  /** another number: the answers may have changed */
  readonly version: number;
}

export const ALL_VISIBLE: Visibility = { serviceVisible: () => true, version: 0 };

export const NO_GATEWAYS: GatewayPlacement = {
  accountsOf: () => [],
  accountsOfSecret: () => [],
  version: 0,
};
