/**
 * Pages of open uploads and of their parts (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html,
 * API_ListParts.html). Both throw RangeError, with what is wrong, where a page makes no sense or goes on where it began.
 */
import { compareUtf8 } from '../../core/byte-order.ts';
import type { PartReceipt, Upload } from '../driver.ts';
import { md5OfETag } from './s3-listing.ts';
import { checkDocument, eachElement, isTruncated, onlyTextOf } from './s3-xml.ts';

const DIGITS = /^\d{1,16}$/;
const PARTS_MAX = 10_000;

export function parsePartsPage(
  xml: string,
  marker: string,
): { readonly parts: readonly PartReceipt[]; readonly next?: string } {
  checkDocument(xml, 'ListPartsResult', 'a list of parts');
  const parts: PartReceipt[] = [];
  let past = Number(marker);
  eachElement(xml, 'Part', (from, to) => {
    const part = partOf(xml.slice(from, to));
    // Ascending numbers end by themselves, which bounds the list whatever the server says.
    if (!(part.number > past && part.number <= PARTS_MAX))
      throw new RangeError('the list has its parts out of order');
    past = part.number;
    return parts.push(part) > 0;
  });
  if (!isTruncated(xml)) return { parts };
  const next = onlyTextOf(xml, 'NextPartNumberMarker') ?? '';
  const goesOn = DIGITS.test(next) && Number(next) > Number(marker) && Number(next) >= past;
  if (!goesOn || Number(next) >= PARTS_MAX) throw new RangeError('the list of parts goes on where it began');
  return { parts, next };
}

export function parseUploadsPage(
  xml: string,
  marker: Upload | undefined,
): { readonly uploads: readonly Upload[]; readonly next?: Upload } {
  checkDocument(xml, 'ListMultipartUploadsResult', 'a list of uploads');
  const uploads: Upload[] = [];
  eachElement(xml, 'Upload', (from, to) => {
    const one = xml.slice(from, to);
    const key = onlyTextOf(one, 'Key');
    const id = onlyTextOf(one, 'UploadId');
    if (key === undefined || !id) throw new RangeError('the list has an upload without a key or an id');
    return uploads.push({ key, id }) > 0;
  });
  if (!isTruncated(xml)) return { uploads };
  const next = {
    key: onlyTextOf(xml, 'NextKeyMarker') ?? '',
    id: onlyTextOf(xml, 'NextUploadIdMarker') ?? '',
  };
  const step = marker === undefined ? 1 : compareUtf8(next.key, marker.key);
  if (next.key === '' || step < 0 || (step === 0 && next.id === marker?.id))
    throw new RangeError('the list of uploads goes on where it began');
  return { uploads, next };
}

function partOf(xml: string): PartReceipt {
  const number = onlyTextOf(xml, 'PartNumber') ?? '';
  const size = onlyTextOf(xml, 'Size') ?? '';
  const tag = onlyTextOf(xml, 'ETag') ?? '';
  const isSize = DIGITS.test(size) && Number.isSafeInteger(Number(size));
  if (!DIGITS.test(number) || !isSize || tag === '')
    throw new RangeError('the list has a part without a number, a size or an ETag');
  const md5 = md5OfETag(tag);
  const crc32 = Buffer.from(onlyTextOf(xml, 'ChecksumCRC32') ?? '', 'base64');
  return {
    number: Number(number),
    sizeBytes: Number(size),
    tag,
    ...(md5 === undefined ? {} : { md5 }),
    ...(crc32.length === 4 ? { crc32: crc32.readUInt32BE() } : {}),
  };
}
