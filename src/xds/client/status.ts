/**
 * The xDS client as status and metrics show it: plain JSON.
 */
export interface XdsStatus {
  readonly servers: readonly XdsServerStatus[];
  readonly types: readonly XdsTypeStatus[];
  /** why nothing, or not all, is in force; "" when all is */
  readonly incomplete: string;
  /** what is held back, and for what it waits */
  readonly waiting: readonly string[];
  /** an earlier run's configuration is in force, because no server has answered yet */
  readonly stale: { readonly savedAt: string; readonly ageSeconds: number } | null;
  /** changes of the server in force, the first one included */
  readonly switches: number;
}

export interface XdsServerStatus {
  readonly address: string;
  /** its word counts */
  readonly active: boolean;
  readonly state: 'idle' | 'connecting' | 'up' | 'waiting';
  readonly protocol: 'delta' | 'sotw' | '';
  /** ISO 8601, "" without a stream */
  readonly connectedSince: string;
  readonly reconnects: number;
  /** why the last stream ended, "" */
  readonly error: string;
  /** of messages, since the start */
  readonly bytes: number;
  /** "podwire control", or what another says of itself ("istiod 1.25.0"); "": it does not say */
  readonly controlPlane: string;
  /** types it sent that nobody asked for */
  readonly unknownTypes: Readonly<Record<string, number>>;
}

/** Of the server in force. */
export interface XdsTypeStatus {
  readonly type: string;
  readonly typeUrl: string;
  readonly version: string;
  readonly nonce: string;
  readonly resources: number;
  readonly pushes: number;
  readonly rejects: number;
  /** ISO 8601, "" before the first */
  readonly lastPush: string;
  readonly refused: readonly { readonly name: string; readonly reason: string }[];
}
