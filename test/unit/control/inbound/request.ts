/**
 * A request as policies see it.
 */
export interface TestRequest {
  /** "<trust domain>/ns/<namespace>/sa/<account>"; undefined: a caller without identity */
  readonly principal: string | undefined;
  readonly ip: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** by lower-case name */
  readonly headers: Readonly<Record<string, string>>;
  /** of a verified token */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  readonly sni: string;
}
