/**
 * Pages of open uploads and of their parts (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html,
 * API_ListParts.html). Both throw RangeError, with what is wrong, where a page makes no sense or goes on where it began.
 */
import type { PartReceipt, Upload } from '../driver.ts';
import { md5OfETag } from './s3-listing.ts';
import { eachElement, textOf } from './s3-xml.ts';

const DIGITS = /^\d+$/;

export function parsePartsPage(
  xml: string,
  marker: string,
): { readonly parts: readonly PartReceipt[]; readonly next?: string } {
  if (!xml.includes('<ListPartsResult')) throw new RangeError('the answer is not a list of parts');
  const parts: PartReceipt[] = [];
  eachElement(xml, 'Part', (from, to) => parts.push(partOf(xml.slice(from, to))) > 0);
  if (textOf(xml, 'IsTruncated') !== 'true') return { parts };
  const next = textOf(xml, 'NextPartNumberMarker') ?? '';
  if (!(Number(next) > Number(marker))) throw new RangeError('the list of parts goes on where it began');
  return { parts, next };
}

export function parseUploadsPage(
  xml: string,
  marker: Upload | undefined,
): { readonly uploads: readonly Upload[]; readonly next?: Upload } {
  if (!xml.includes('<ListMultipartUploadsResult'))
    throw new RangeError('the answer is not a list of uploads');
  const uploads: Upload[] = [];
  eachElement(xml, 'Upload', (from, to) => {
    const one = xml.slice(from, to);
    const key = textOf(one, 'Key');
    const id = textOf(one, 'UploadId');
    if (key === undefined || !id) throw new RangeError('the list has an upload without a key or an id');
    return uploads.push({ key, id }) > 0;
  });
  if (textOf(xml, 'IsTruncated') !== 'true') return { uploads };
  const next = { key: textOf(xml, 'NextKeyMarker') ?? '', id: textOf(xml, 'NextUploadIdMarker') ?? '' };
  if (next.key === '' || (next.key === marker?.key && next.id === marker.id))
    throw new RangeError('the list of uploads goes on where it began');
  return { uploads, next };
}

function partOf(xml: string): PartReceipt {
  const number = textOf(xml, 'PartNumber') ?? '';
  const size = textOf(xml, 'Size') ?? '';
  const tag = textOf(xml, 'ETag') ?? '';
  if (!DIGITS.test(number) || !DIGITS.test(size) || tag === '')
    throw new RangeError('the list has a part without a number, a size or an ETag');
  const md5 = md5OfETag(tag);
  const crc32 = Buffer.from(textOf(xml, 'ChecksumCRC32') ?? '', 'base64');
  return {
    number: Number(number),
    sizeBytes: Number(size),
    tag,
    ...(md5 === undefined ? {} : { md5 }),
    ...(crc32.length === 4 ? { crc32: crc32.readUInt32BE() } : {}),
  };
}
