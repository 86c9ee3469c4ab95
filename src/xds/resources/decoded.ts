/**
 * The outcome of decoding one resource: the whole of it, or every field that is wrong.
 *
 * A resource that is refused is NACKed by name and the others apply; nothing is ever taken in part, because a policy
 * without the conditions we could not read is another policy.
 */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      /** "field.path: what is wrong" */
      readonly errors: readonly string[];
    };

export type FieldError = (path: string, message: string) => void;

/** Runs `read`; what it reports makes the result an error, whatever it returns. */
export function decodeWith<T>(read: (error: FieldError) => T): Decoded<T> {
  const errors: string[] = [];
  try {
    const value = read((path, message) => errors.push(`${path}: ${message}`));
    return errors.length === 0 ? { ok: true, value } : { ok: false, errors };
  } catch (error) {
    // protobufjs throws on bytes that are no message
    return { ok: false, errors: [error instanceof Error ? error.message : String(error)] };
  }
}

export const MAX_PORT = 65535;
