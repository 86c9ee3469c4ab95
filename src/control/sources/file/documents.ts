/**
 * One file's text → parsed YAML documents.
 *
 * The text is cut at its "---" lines first (a line that starts so ends a document wherever it stands, YAML 1.2.2 9.1), so
 * that a change in a file of 10,000 pods parses one document, and one broken document is told with its own line number.
 */
import { parseDocument, type Document } from 'yaml';

/** etcd refuses objects above 1.5 MiB; nothing larger is a Kubernetes resource. */
const MAX_DOCUMENT_BYTES = 2 * 1024 * 1024;
/** Aliases that expand to more than this are an attack ("billion laughs"), not a configuration. */
const MAX_ALIASES = 100;

export interface TextDocument {
  readonly text: string;
  /** line of the file the document starts on, from 1 */
  readonly line: number;
}

export type ParsedDocument =
  | { readonly ok: true; readonly content: unknown }
  | { readonly ok: false; readonly message: string };

export function splitDocuments(text: string): TextDocument[] {
  const documents: TextDocument[] = [];
  let start = 0;
  let startLine = 1;
  let line = 1;
  const push = (end: number): void => {
    const part = text.slice(start, end);
    if (/^[ \t]*[^#\s]/m.test(part)) documents.push({ text: part, line: startLine });
  };
  for (let position = 0; position <= text.length;) {
    const newline = text.indexOf('\n', position);
    const end = newline < 0 ? text.length : newline;
    if (text.startsWith('---', position) && /^\s?$/.test(text.slice(position + 3, position + 4))) {
      push(position);
      start = position + 3;
      startLine = line;
    }
    position = end + 1;
    line++;
  }
  push(text.length);
  return documents;
}

export function parseText({ text, line }: TextDocument): ParsedDocument {
  if (text.length > MAX_DOCUMENT_BYTES) {
    return { ok: false, message: `line ${line}: the document is longer than 2 MiB` };
  }
  let document: Document;
  try {
    document = parseDocument(text, { logLevel: 'silent', prettyErrors: false });
    const [error] = document.errors;
    if (error !== undefined) {
      const at = line + text.slice(0, error.pos[0]).split('\n').length - 1;
      return { ok: false, message: `line ${at}: ${error.message}` };
    }
    return { ok: true, content: document.toJS({ maxAliasCount: MAX_ALIASES }) };
  } catch (error) {
    // toJS refuses too many aliases; deeply nested text can exhaust the stack.
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, message: `line ${line}: ${reason}` };
  }
}
