/**
 * One response of a discovery server, whichever protocol carried it.
 */
export interface Push {
  readonly typeUrl: string;
  /** what the answer must name; "" from servers that give none */
  readonly nonce: string;
  /** what the server calls itself, "" when it does not say */
  readonly controlPlane: string;
  /** of the server's whole state, for people */
  readonly version: string;
  readonly resources: readonly PushedResource[];
  /** resource names; only delta names them */
  readonly removed: readonly string[];
  /** state of the world: of a wildcard type, what is not in it is gone */
  readonly whole: boolean;
}

export interface PushedResource {
  /** "" where the protocol leaves it to the resource itself */
  readonly name: string;
  readonly aliases: readonly string[];
  /** "" from servers that give none */
  readonly version: string;
  readonly typeUrl: string;
  /** undefined: the server named it and sent nothing */
  readonly bytes: Uint8Array | undefined;
}
