/**
 * The shape of istio.json and gateway-api.json, which generate.ts writes.
 */
export interface SchemaFile {
  readonly origin: string;
  readonly license: string;
  /** "Kind.path: message" of the rules that are not evaluated; validate/ has its own checks for what they protect */
  readonly notEvaluated: readonly string[];
  readonly kinds: Readonly<Record<string, KindSchema>>;
}

export interface KindSchema {
  readonly group: string;
  /** served ones; they do not differ in what they allow */
  readonly versions: readonly string[];
  /** JSON schema of `spec`, with x-kubernetes-validations and x-kubernetes-list-map-keys */
  readonly spec: Readonly<Record<string, unknown>>;
}
