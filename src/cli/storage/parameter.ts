/**
 * One parameter of a storage section: a zod schema that reads the written text, and what a configuration reference
 * says about it. Texts go in because environment variables stand for any value; types come out.
 */
import { z } from 'zod';

export interface ParameterInfo {
  /** As the reference names it: `text`, `boolean`, `integer`, `bytes`, `choice`, `section`. */
  readonly type: string;
  /** The value in force when none is given, or `required`. */
  readonly default: string;
  readonly description: string;
  /** Its value is never shown. */
  readonly isSecret?: true;
  /** Why it does nothing here: completes `"name" of s3 …`. */
  readonly noEffect?: string;
  /** An attribute of written objects: nothing for a storage that is only read. */
  readonly isForWriting?: true;
  /** An empty value is a mistake, as the registry would take it for something else than its default. */
  readonly refusesNothing?: true;
}

/** What is known about each parameter's schema; ask with the schema found in an object schema's shape. */
export const parameterInfo = z.registry<ParameterInfo>();

/** What a reader returns for a text that is no such value: completes `"name" of s3 …`. */
export class Refused {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

/** A parameter whose text is read by `read`; `undefined` from it means: as if it were not given. */
export function parameter<T>(info: ParameterInfo, read: (text: string) => T | Refused) {
  return z
    .string()
    .transform((text, ctx): T => {
      const value = read(text);
      if (!(value instanceof Refused)) return value;
      ctx.issues.push({ code: 'custom', message: value.why, input: text });
      return z.NEVER;
    })
    .optional()
    .register(parameterInfo, info);
}

type Described = Omit<ParameterInfo, 'type'>;

export function textParameter(
  info: Described,
  read: (text: string) => string | undefined | Refused = readText,
) {
  return parameter({ ...info, type: 'text' }, read);
}

export function booleanParameter(info: Described) {
  return parameter({ ...info, type: 'boolean' }, readBoolean);
}

export function integerParameter(info: Described, range: { readonly min: number; readonly max: number }) {
  return parameter({ ...info, type: 'integer' }, (text) => readInteger(text, { ...range, of: '' }));
}

/** A number of bytes, written as digits alone. */
export function bytesParameter(info: Described, range: { readonly min: number; readonly max: number }) {
  return parameter({ ...info, type: 'bytes' }, (text) => readInteger(text, { ...range, of: ' of bytes' }));
}

/** Names and texts in a section of their own. They come as JSON, so that they go the way of all values. */
export function mapParameter(info: Described) {
  return parameter({ ...info, type: SECTION }, readMap);
}

function readMap(text: string): Readonly<Record<string, string>> | Refused {
  const refused = new Refused('must be a section of names and values');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return refused;
    return Object.fromEntries(Object.entries(parsed).filter(([, value]) => typeof value === 'string'));
  } catch {
    return refused;
  }
}

export const SECTION = 'section';

/** One of a few words; `fold` brings what is written into their spelling. */
export function choiceParameter(info: Described, choices: readonly string[], fold: (text: string) => string) {
  const description = `${info.description}. One of ${choices.map((choice) => `\`${choice}\``).join(', ')}`;
  return parameter({ ...info, type: 'choice', description }, (text) => {
    if (text === '') return undefined;
    const folded = fold(text);
    return choices.includes(folded) ? folded : new Refused(`must be one of ${choices.join(', ')}`);
  });
}

/** Any text without control characters; an empty one is as good as none. */
export function readText(text: string): string | undefined | Refused {
  if (/\p{Cc}/u.test(text)) return new Refused('must not hold line breaks or other control characters');
  return text === '' ? undefined : text;
}

/** The words of YAML 1.1 and of the registry's own reader, in any case. */
export function readBoolean(text: string): boolean | Refused {
  const word = text.toLowerCase();
  if (['true', 't', 'yes', 'y', 'on', '1'].includes(word)) return true;
  if (['false', 'f', 'no', 'n', 'off', '0'].includes(word)) return false;
  return new Refused('must be true or false');
}

interface IntegerRange {
  readonly min: number;
  readonly max: number;
  readonly of: string;
}

function readInteger(text: string, range: IntegerRange): number | Refused {
  // A leading zero is octal to one reader and decimal to the next.
  const isDecimal = /^(?:0|[1-9][0-9_]*)$/.test(text);
  const number = isDecimal ? Number(text.replaceAll('_', '')) : Number.NaN;
  if (number >= range.min && number <= range.max) return number;
  const limits =
    range.max === Number.MAX_SAFE_INTEGER ? `of at least ${range.min}` : `from ${range.min} to ${range.max}`;
  return new Refused(`must be a whole number${range.of} ${limits}`);
}
