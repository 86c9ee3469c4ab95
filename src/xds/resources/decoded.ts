/**
 * The outcome of decoding one resource: the whole of it, or every field that is wrong.
 *
 * A resource that is refused is NACKed by name and the others apply; nothing is ever taken in part, because a policy
 * without the conditions we could not read is another policy.  What podwire cannot do and protects nothing (a load
 * balancer's hint, a statistics prefix) is left out and named in `warnings`.
 */
export type Decoded<T> =
  | {
      readonly ok: true;
      readonly value: T;
      /** "unsupported: field.path" */
      readonly warnings: readonly string[];
    }
  | {
      readonly ok: false;
      /** "field.path: what is wrong" */
      readonly errors: readonly string[];
    };

export type FieldError = (path: string, message: string) => void;
export type FieldWarning = (path: string) => void;

/** Runs `read`; an error that it reports makes the result an error, whatever it returns. */
export function decodeWith<T>(read: (error: FieldError, warn: FieldWarning) => T): Decoded<T> {
  const errors: string[] = [];
  const warnings: string[] = [];
  try {
    const value = read(
      (path, message) => errors.push(`${path}: ${message}`),
      (path) => warnings.push(`unsupported: ${path}`),
    );
    return errors.length === 0 ? { ok: true, value, warnings } : { ok: false, errors };
  } catch (error) {
    // protobufjs throws on bytes that are no message
    return { ok: false, errors: [error instanceof Error ? error.message : String(error)] };
  }
}

export const MAX_PORT = 65535;
