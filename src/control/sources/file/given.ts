/**
 * Files, folders and standard input, read once: what `podwire validate -f` was given.
 *
 * A folder is read as the agent reads its config folder, with everything it would say about owners and modes.  Of a file
 * every document counts: one that does not parse is told and hides none of the others.
 */
import { readFile, stat } from 'node:fs/promises';
import { PodwireError } from '../../../errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import { validateDocument } from '../../validate/document.ts';
import type { OriginContent, Source, SourceSink } from '../source.ts';
import { parseText, splitDocuments } from './documents.ts';
import { ConfigFolder, FolderError } from './folder.ts';

const MAX_BYTES = 64 * 1024 * 1024;
export const STDIN = '-';

export class GivenSource implements Source {
  readonly name = 'given';
  readonly #paths: readonly string[];
  readonly #stdin: AsyncIterable<Uint8Array | string>;

  /** `paths`: "-" is standard input */
  constructor(paths: readonly string[], stdin: AsyncIterable<Uint8Array | string>) {
    this.#paths = paths;
    this.#stdin = stdin;
  }

  /** Throws PodwireError ERR_CONFIG when a path cannot be read, or a folder is not trusted. */
  async start(sink: SourceSink): Promise<void> {
    const content = new Map<string, OriginContent>();
    for (const path of new Set(this.#paths)) {
      for (const [origin, value] of await this.#read(path)) content.set(origin, value);
    }
    sink.apply(content);
  }

  async close(): Promise<void> {}

  async #read(path: string): Promise<Map<string, OriginContent>> {
    try {
      if (path === STDIN) return new Map([['stdin', contentOf(await this.#input(), 'stdin')]]);
      const stats = await stat(path);
      if (!stats.isDirectory()) {
        if (stats.size > MAX_BYTES) throw tooLarge(path);
        return new Map([[path, contentOf(await readFile(path, 'utf8'), path)]]);
      }
      const { changed } = await new ConfigFolder(path).scan();
      const files = [...changed].flatMap(([name, file]) =>
        file === undefined ? [] : [[`${path}/${name}`, file] as const],
      );
      return new Map(files);
    } catch (error) {
      if (error instanceof PodwireError || !(error instanceof Error)) throw error;
      const hint =
        error instanceof FolderError ? error.fix : 'name a file or a folder of YAML, or -';
      throw new PodwireError('ERR_CONFIG', error.message, { cause: error, hint });
    }
  }

  async #input(): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#stdin) {
      const bytes = Buffer.from(chunk);
      size += bytes.length;
      if (size > MAX_BYTES) throw tooLarge('standard input');
      chunks.push(bytes);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

function tooLarge(what: string): PodwireError {
  const hint = 'split it into several files';
  return new PodwireError('ERR_CONFIG', `${what} is larger than ${MAX_BYTES >> 20} MiB`, { hint });
}

function contentOf(text: string, file: string): OriginContent {
  const resources: Resource[] = [];
  const findings: Finding[] = [];
  for (const document of splitDocuments(text)) {
    const parsed = parseText(document);
    if (!parsed.ok) {
      findings.push({
        code: 'YAML_INVALID',
        severity: 'error',
        file,
        resource: '',
        path: '',
        message: parsed.message,
        fix: 'correct the YAML',
      });
      continue;
    }
    const validated = validateDocument(parsed.content, file);
    resources.push(...validated.resources);
    findings.push(...validated.findings);
  }
  return { resources, findings };
}
