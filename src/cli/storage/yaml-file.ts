/**
 * A YAML file whose every value knows its line. Parsed as YAML 1.1, which is what the registry's own parser takes
 * plain values for: `yes` and `on` are truth values and `010` is eight.
 *
 * Nothing of the file's content enters a message about its syntax: the line at fault may hold a secret.
 */
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import { ConfigError } from '../../core/errors.ts';

interface YamlText {
  readonly kind: 'text';
  /** The value as it is written, after unquoting. */
  readonly text: string;
  /** Written without quotes and taken by YAML 1.1 for something that is not spelt like this (`010`, `1_000`, `yes`). */
  readonly isAmbiguous: boolean;
}

export type YamlValue =
  | YamlText
  | { readonly kind: 'nothing' }
  | { readonly kind: 'map'; readonly entries: readonly YamlEntry[] }
  /** Why it is none of the above: completes "… is". */
  | { readonly kind: 'strange'; readonly what: string };

export interface YamlEntry {
  readonly name: string;
  /** Where the name stands, from 1. */
  readonly line: number;
  /** Reads the value; maps inside maps are not read before they are asked for. */
  readonly value: () => YamlValue;
}

/** @throws ConfigError with file and line when the text is not one YAML document. */
export function parseYaml(text: string, file: string): YamlValue {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.1',
    lineCounter: lines,
    // A pretty error quotes the line at fault.
    prettyErrors: false,
    logLevel: 'error',
    // The library compares each name with all others of its map, which takes minutes for a file of many.
    uniqueKeys: false,
  });
  const [error] = document.errors;
  if (error) {
    const at = Math.min(error.pos[0], text.trimEnd().length);
    throw new ConfigError(`${file}:${lineAt(lines, at)}: ${SYNTAX[error.code] ?? 'not valid YAML'}`, {
      hint: HINTS[error.code],
    });
  }
  refuseTwins(document, lines, file);
  return new Reader(document, lines).value(document.contents);
}

/** @throws ConfigError where a map has a name twice, in any section: one of the two would silently not count. */
function refuseTwins(document: Document, lines: LineCounter, file: string): void {
  visit(document, {
    Map: (_, map) => {
      const names = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = textOf(key);
        if (names.has(name) && name !== '<<') {
          const line = lineAt(lines, key.range?.[0] ?? 0);
          throw new ConfigError(`${file}:${line}: ${SYNTAX.DUPLICATE_KEY}`);
        }
        names.add(name);
      }
    },
  });
}

/** The parts of the YAML library's error codes that a hand-written file can meet. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: 'a tab indents this line; YAML allows spaces only',
  DUPLICATE_KEY: 'this name is given twice in the same section',
  MULTIPLE_DOCS: 'a second YAML document begins here; one is expected',
  MISSING_CHAR: 'something is missing: a closing quote or bracket, or the colon behind a name',
  MULTILINE_IMPLICIT_KEY: 'a name without a value; is the space behind the colon missing?',
  BLOCK_AS_IMPLICIT_KEY: 'a second value in one line, or the next line is indented too far',
  BAD_INDENT: 'the indentation fits no line above',
  BAD_SCALAR_START: 'the value begins with a character that YAML reserves',
  BAD_DQ_ESCAPE: 'a backslash between double quotes that stands for nothing',
  BAD_ALIAS: 'an alias (*) without a name',
  UNEXPECTED_TOKEN: 'something that YAML does not allow here',
  KEY_OVER_1024_CHARS: 'a name of more than 1,024 characters',
};

const HINTS: Partial<Record<ErrorCode, string>> = {
  BAD_SCALAR_START: 'put the value in single quotes',
  BAD_DQ_ESCAPE: 'put the value in single quotes, where a backslash is a backslash',
  UNEXPECTED_TOKEN: 'a value with one of the characters { } [ ] , # : & * ! | > % @ needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a value that holds ": " needs quotes',
};

const PLAIN_TAGS: ReadonlySet<string> = new Set(
  ['str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
);

class Reader {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  value(node: unknown): YamlValue {
    if (isAlias(node)) {
      const anchored = node.resolve(this.#document);
      return anchored ? this.value(anchored) : { kind: 'strange', what: 'an alias (*) of no anchor (&)' };
    }
    if (isMap(node)) return { kind: 'map', entries: this.#entries(node) };
    if (isScalar(node)) return scalarValue(node);
    if (isSeq(node)) return { kind: 'strange', what: 'a list' };
    return { kind: 'nothing' };
  }

  /**
   * A map's own entries, then those of the maps it merges (`<<: *defaults`) in their order; the first of a name wins.
   * Each map is visited once, which ends circles, and merges that would multiply.
   */
  #entries(map: YAMLMap): readonly YamlEntry[] {
    const entries = new Map<string, YamlEntry>();
    const visited = new Set<YAMLMap>();
    const visit = (one: YAMLMap): void => {
      if (visited.has(one)) return;
      visited.add(one);
      const merges = one.items.filter(isMergeKey);
      for (const pair of one.items) {
        if (isMergeKey(pair)) continue;
        const entry = this.#entry(pair);
        if (!entries.has(entry.name)) entries.set(entry.name, entry);
      }
      for (const pair of merges) for (const source of this.#mergedMaps(pair.value)) visit(source);
    };
    visit(map);
    return [...entries.values()];
  }

  /** A map, or a list of maps; nothing deeper, which could multiply without end. */
  #mergedMaps(node: unknown): readonly YAMLMap[] {
    const merged = this.#resolved(node);
    const sources = isSeq(merged) ? merged.items.map((item) => this.#resolved(item)) : [merged];
    return sources.filter((source) => isMap(source));
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  #entry(pair: Pair): YamlEntry {
    const { key } = pair;
    const line = isNode(key) && key.range ? lineAt(this.#lines, key.range[0]) : 1;
    const name = isScalar(key) ? textOf(key) : '(a name that is no text)';
    return { name, line, value: () => this.value(pair.value) };
  }
}

function isMergeKey(pair: Pair): boolean {
  return isScalar(pair.key) && pair.key.source === '<<' && pair.key.type === 'PLAIN';
}

function scalarValue(node: Scalar): YamlValue {
  if (node.tag !== undefined && !PLAIN_TAGS.has(node.tag)) {
    return { kind: 'strange', what: 'a value with a YAML tag (!) that is not known here' };
  }
  if (node.value === null) return { kind: 'nothing' };
  const text = textOf(node);
  const isAmbiguous =
    node.type === 'PLAIN' && typeof node.value !== 'string' && String(node.value) !== node.source;
  return { kind: 'text', text, isAmbiguous };
}

function textOf(node: Scalar): string {
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

function lineAt(lines: LineCounter, offset: number): number {
  return Math.max(1, lines.linePos(offset).line);
}
