/**
 * Storage settings that may be shown. What a setting is called decides: a text is shown only under a name that is known
 * to hold no secret, so that one that nobody has heard of stays hidden.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export const MASK = '***';

const SHOWN = new Set(
  [
    // Of every driver, and of the registry around it.
    'rootdirectory region regionendpoint bucket encrypt secure skipverify v4auth storageclass objectacl useragent',
    'container realm accountname serviceurl prefix authurl authversion tenant tenantid domain domainid tenantdomain',
    'tenantdomainid endpointtype endpoint chunksize multipartcopychunksize multipartcopymaxconcurrency maxthreads',
    'multipartcopythresholdsize blobdescriptor age interval enabled disable loglevel level formatter name driver',
  ]
    .join(' ')
    .split(' '),
);

/** The same settings with a mask in the place of every text that may be a secret. */
export function masked(value: Json, name = ''): Json {
  if (typeof value === 'string') return shownText(value, name);
  if (isList(value)) return value.map((item) => masked(item, name));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, masked(item, key)]));
}

/** Every text that `masked` hides. */
export function hiddenTexts(value: Json, name = ''): readonly string[] {
  if (typeof value === 'string') return isShown(name) ? userInfoOf(value) : [value];
  if (isList(value)) return value.flatMap((item) => hiddenTexts(item, name));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => hiddenTexts(item, key));
}

export function isRecord(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `Array.isArray` does not know read-only ones. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function isShown(name: string): boolean {
  return SHOWN.has(name.toLowerCase());
}

function shownText(text: string, name: string): string {
  if (text === '') return '';
  return isShown(name) ? text.replace(/\/\/[^/\s@]*@/g, `//${MASK}@`) : MASK;
}

function userInfoOf(text: string): readonly string[] {
  return [...text.matchAll(/\/\/([^/\s@]*)@/g)].flatMap(([, info = '']) => [
    info,
    ...info.split(':').slice(1),
  ]);
}
