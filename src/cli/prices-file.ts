/**
 * `--prices`: what requests and egress cost, as the user's contract says.
 *
 *     currency: USD
 *     source:
 *       requests:          for 1,000 of them
 *         list: 0.005
 *         read: 0.0004
 *       egress: 0.09       for each GiB that leaves it
 *     target:
 *       requests:
 *         write: 0.005
 */
import { z } from 'zod';
import type { Prices, SidePrices } from '../plan/cost.ts';
import { parameter, Refused } from './storage/parameter.ts';
import { Remarks, readSection } from './storage/section.ts';
import { suggestion } from './storage/suggest.ts';
import { readTextFile } from './storage/text-file.ts';
import { parseYaml, type YamlEntry, type YamlValue } from './storage/yaml-file.ts';

/** The operations whose numbers a plan knows. */
export const requestPrices = z.object({
  list: priceParameter('A page of a listing (S3: ListObjectsV2)'),
  read: priceParameter('A read, whole or a range (S3: GetObject)'),
  write: priceParameter('An object written in one request (S3: PutObject)'),
  stat: priceParameter('A look at an object (S3: HeadObject)'),
  copy: priceParameter('A copy that the service makes by itself (S3: CopyObject, UploadPartCopy)'),
  begin: priceParameter('The beginning of an upload in parts (S3: CreateMultipartUpload)'),
  part: priceParameter('One part of it (S3: UploadPart)'),
  complete: priceParameter('Its end (S3: CompleteMultipartUpload)'),
  abort: priceParameter('Its end without an object (S3: AbortMultipartUpload)'),
});

export const sidePrices = z.object({
  egress: priceParameter('For each GiB (2^30 bytes) that is read from this side'),
});

const SECTIONS = ['currency', 'source', 'target'] as const;

export async function readPricesFile(file: string): Promise<Prices> {
  const text = await readTextFile(file, {
    failed: 'Cannot read prices',
    hint: 'give a YAML file with prices; docs/prices.md shows one',
  });
  return readPrices(text, file);
}

/** @throws ConfigError with a sentence for each mistake, `file:line:` first. */
export function readPrices(text: string, file: string): Prices {
  const remarks = new Remarks(file);
  const entries = entriesOf(parseYaml(text, file), 1, 'the file', remarks);
  let currency: string | undefined;
  const sides: { source: SidePrices; target: SidePrices } = {
    source: { requests: {} },
    target: { requests: {} },
  };
  for (const entry of entries) {
    if (entry.name === 'currency') currency = readCurrency(entry, remarks);
    else if (entry.name === 'source' || entry.name === 'target') {
      sides[entry.name] = readSide(entry, remarks);
    } else unknown(entry, 'prices', SECTIONS, remarks);
  }
  if (!entries.some(({ name }) => name === 'currency')) {
    remarks.problem(1, '"currency" of the prices is missing', 'name one, such as "currency: USD"');
  }
  if (!entries.some(({ name }) => name === 'source' || name === 'target')) {
    remarks.problem(1, 'prices need a section "source" or "target"');
  }
  remarks.throwIfAny();
  return { currency: currency ?? '', ...sides };
}

function readCurrency({ line, value }: YamlEntry, remarks: Remarks): string | undefined {
  const given = value();
  if (given.kind === 'text' && /^[\p{L}\p{Sc}]{1,8}$/u.test(given.text)) return given.text;
  remarks.problem(line, '"currency" of the prices must be a short word, such as USD');
  return undefined;
}

function readSide({ name, line, value }: YamlEntry, remarks: Remarks): SidePrices {
  const entries = entriesOf(value(), line, `"${name}"`, remarks);
  const known = ['requests', ...Object.keys(sidePrices.shape)];
  for (const one of entries) if (!known.includes(one.name)) unknown(one, `${name} prices`, known, remarks);
  const section = { env: {}, isWritten: true, remarks };
  const own = entries.filter((one) => one.name in sidePrices.shape);
  const side = readSection({ ...section, backend: `${name} prices`, line, entries: own }, sidePrices);
  const requests = entries.find((one) => one.name === 'requests');
  const prices = requests && readRequests(requests, name, remarks);
  const egress = side?.values.egress;
  return { requests: prices ?? {}, ...(egress === undefined ? {} : { egressGib: egress }) };
}

function readRequests(
  { line, value }: YamlEntry,
  side: string,
  remarks: Remarks,
): SidePrices['requests'] | undefined {
  const entries = entriesOf(value(), line, `"requests" of ${side}`, remarks);
  const backend = `${side} requests`;
  const read = readSection({ backend, line, entries, remarks, env: {}, isWritten: true }, requestPrices);
  const given = Object.entries(read?.values ?? {}).filter(([, price]) => price !== undefined);
  return Object.fromEntries(given);
}

function entriesOf(value: YamlValue, line: number, what: string, remarks: Remarks): readonly YamlEntry[] {
  if (value.kind === 'map') return value.entries;
  remarks.problem(line, `${what} holds no prices`, 'docs/prices.md shows what is expected');
  return [];
}

function unknown(entry: YamlEntry, of: string, known: readonly string[], remarks: Remarks): void {
  remarks.problem(
    entry.line,
    `unknown name "${entry.name.slice(0, 40)}" in ${of}${suggestion(entry.name, known)}`,
  );
}

function priceParameter(description: string) {
  return parameter({ type: 'price', default: 'not reckoned', description, refusesNothing: true }, readPrice);
}

/** A plain decimal number: nothing that two readers might take for two amounts. */
function readPrice(text: string): number | Refused {
  if (/^(?:0|[1-9]\d{0,8})(?:\.\d{1,12})?$/.test(text)) return Number(text);
  return new Refused('must be a price such as 0.0004');
}
