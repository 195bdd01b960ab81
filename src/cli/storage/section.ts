/**
 * One storage section being read: what was given where, and what is to be said about it. Every problem found is
 * reported at once, each on its own line as `file:line: sentence`.
 */
import type { z } from 'zod';
import { ConfigError } from '../../core/errors.ts';
import { type Environment, substitute } from './environment.ts';
import { type ParameterInfo, parameterInfo, SECTION } from './parameter.ts';
import { suggestion } from './suggest.ts';
import type { YamlEntry } from './yaml-file.ts';

interface Remark {
  readonly line: number;
  readonly sentence: string;
  readonly hint?: string | undefined;
}

/** Some other kind of file would give one for each of its lines. */
const PROBLEMS_SHOWN_MAX = 10;

export class Remarks {
  readonly #file: string;
  readonly #problems: Remark[] = [];
  readonly #notes: Remark[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  problem(line: number, sentence: string, hint?: string): void {
    this.#problems.push({ line, sentence, hint });
  }

  note(line: number, sentence: string): void {
    this.#notes.push({ line, sentence });
  }

  get hasProblems(): boolean {
    return this.#problems.length > 0;
  }

  /** More problems are only counted, so that nobody need think about them. */
  get isFull(): boolean {
    return this.#problems.length >= PROBLEMS_SHOWN_MAX;
  }

  /** In the order of the file. */
  get notes(): readonly string[] {
    return this.#inOrder(this.#notes);
  }

  throwIfAny(): void {
    if (this.#problems.length === 0) return;
    const hint = this.#problems.find((problem) => problem.hint !== undefined)?.hint;
    const lines = this.#inOrder(this.#problems);
    const more = lines.length > PROBLEMS_SHOWN_MAX ? [`and ${lines.length - PROBLEMS_SHOWN_MAX} more`] : [];
    throw new ConfigError([...lines.slice(0, PROBLEMS_SHOWN_MAX), ...more].join('\n'), { hint });
  }

  #inOrder(remarks: readonly Remark[]): readonly string[] {
    const sorted = remarks.toSorted((left, right) => left.line - right.line);
    return sorted.map(({ line, sentence }) => `${this.#file}:${line}: ${sentence}`);
  }
}

export interface Section {
  /** The registry's name of the backend: `s3`, `filesystem`. */
  readonly backend: string;
  /** Where the section begins. */
  readonly line: number;
  readonly entries: readonly YamlEntry[];
  readonly remarks: Remarks;
  readonly env: Environment;
  readonly isWritten: boolean;
}

/** A value after substitution; `source` says where it came from if it may not be shown. */
interface GivenText {
  readonly line: number;
  readonly text: string;
  readonly fromVariables: readonly string[];
}

export interface ReadSection<T> {
  readonly values: T;
  /** Line of a parameter, or of the section where it is not given. */
  lineOf(name: string): number;
}

/**
 * Reads a section by its schema. Problems go to the section's remarks; undefined when there are any.
 */
export function readSection<Shape extends z.ZodObject>(
  section: Section,
  schema: Shape,
): ReadSection<z.infer<Shape>> | undefined {
  const given = new Map<string, GivenText>();
  for (const entry of section.entries) {
    const text = givenText(section, schema, entry);
    if (text) given.set(entry.name, text);
  }
  const parsed = schema.safeParse(Object.fromEntries([...given].map(([name, { text }]) => [name, text])));
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      const value = given.get(name);
      const shown = value ? shownValue(value, infoOf(schema, name)) : '';
      section.remarks.problem(
        value?.line ?? section.line,
        `"${name}" of ${section.backend} ${issue.message}${shown}`,
      );
    }
  }
  // A misspelt parameter is not missing: what else could be said of the section would only confuse.
  if (section.remarks.hasProblems || !parsed.success) return undefined;
  return { values: parsed.data, lineOf: (name) => given.get(name)?.line ?? section.line };
}

function givenText(section: Section, schema: z.ZodObject, entry: YamlEntry): GivenText | undefined {
  const { backend, remarks } = section;
  const { name, line } = entry;
  const info = infoOf(schema, name);
  if (!info) {
    const known = remarks.isFull ? '' : suggestion(name, Object.keys(schema.shape));
    remarks.problem(line, `unknown parameter ${quoteName(name)} of ${backend}${known}`);
    return undefined;
  }
  const value = entry.value();
  const what = `"${name}" of ${backend}`;
  if (value.kind === 'nothing') {
    if (info.refusesNothing) remarks.problem(line, `${what} has no value`);
    return undefined;
  }
  if (info.type === SECTION && value.kind === 'map') return sectionText(section, what, entry, value.entries);
  if (value.kind !== 'text') {
    const is = value.kind === 'map' ? 'a section' : value.what;
    remarks.problem(line, `${what} must be a single value, not ${is}`, FLOW_HINT);
    return undefined;
  }
  if (value.isAmbiguous && info.type === 'text' && !info.noEffect) {
    remarks.problem(
      line,
      `${what} is no text as it is written (YAML reads a number, date or truth value)`,
      QUOTE_HINT,
    );
    return undefined;
  }
  const substituted = substitute(value.text, section.env);
  if (!substituted.ok) {
    remarks.problem(line, `${what} ${substituted.problem}`);
    return undefined;
  }
  if (info.noEffect) remarks.note(line, `${what} has no effect: it ${info.noEffect}`);
  else if (info.isForWriting && !section.isWritten) {
    remarks.note(line, `${what} has no effect: this storage is only read`);
  }
  return { line, text: substituted.text, fromVariables: substituted.names };
}

/** A section inside the section, as JSON: each value a text, variables replaced. */
function sectionText(
  { remarks, env }: Section,
  what: string,
  { line }: YamlEntry,
  entries: readonly YamlEntry[],
): GivenText | undefined {
  const texts: [string, string][] = [];
  const fromVariables: string[] = [];
  for (const entry of entries) {
    const value = entry.value();
    if (value.kind === 'nothing') continue;
    if (value.kind !== 'text') {
      remarks.problem(entry.line, `a value in ${what} must be a single one`, FLOW_HINT);
      return undefined;
    }
    const substituted = substitute(value.text, env);
    if (!substituted.ok) {
      remarks.problem(entry.line, `a value in ${what} ${substituted.problem}`);
      return undefined;
    }
    texts.push([entry.name, substituted.text]);
    fromVariables.push(...substituted.names);
  }
  return { line, text: JSON.stringify(Object.fromEntries(texts)), fromVariables };
}

const FLOW_HINT = 'a value that begins with "{" or "[" needs quotes';
const QUOTE_HINT = 'put the value in quotes, so that blobferry and the registry read the same';

function infoOf(schema: z.ZodObject, name: string): ParameterInfo | undefined {
  const field = Object.hasOwn(schema.shape, name) ? schema.shape[name] : undefined;
  return field && parameterInfo.get(field);
}

/** Values from the environment are not shown: the wrong variable may hold a secret. */
function shownValue(value: GivenText, info: ParameterInfo | undefined): string {
  if (!info || info.isSecret) return '';
  if (value.fromVariables.length > 0) {
    return ` (its value comes from ${value.fromVariables.map((name) => `\${${name}}`).join(' and ')})`;
  }
  // A URL may hold a password or a signature; a long text is no slip of the pen.
  const isShowable = value.text !== '' && value.text.length <= 60 && !/[@?]/.test(value.text);
  return isShowable ? `, not ${JSON.stringify(value.text)}` : '';
}

/** A value pasted in the place of a name is not repeated in full. */
function quoteName(name: string): string {
  return /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'with an odd name';
}
