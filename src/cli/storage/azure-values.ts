/** How single values of Azure settings are read, wherever they stand. */
import { Refused, readText } from './parameter.ts';

/** https://learn.microsoft.com/azure/storage/common/storage-account-overview#storage-account-name */
export function readAccountName(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  return /^[a-z0-9]{3,24}$/.test(text) ? text : new Refused('must be 3 to 24 small letters and digits');
}

export function readAccountKey(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  const isKey = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && Buffer.from(text, 'base64').length >= 16;
  return isKey ? text : new Refused('must be the key in base64, as the portal shows it');
}

/** A list of parameters as in a query, the signature among them; the portal puts a `?` in front. */
export function readSasToken(text: string): string | undefined | Refused {
  const token = text.replace(/^\?/, '');
  if (token === '') return undefined;
  const isToken = /^[\w.~%:+/=&,*-]+$/.test(token) && new URLSearchParams(token).has('sig');
  return isToken ? token : new Refused('must be a shared access signature (sv=…&sig=…), not an address');
}

/** https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata */
export function readBlobContainer(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  const isName =
    /^(?:\$root|\$web|[a-z0-9](?:-?[a-z0-9])*)$/.test(text) && text.length >= 3 && text.length <= 63;
  return isName ? text : new Refused('must be 3 to 63 small letters, digits and single hyphens');
}

export function readRealm(text: string): string | undefined | Refused {
  if (text === '') return undefined;
  return /^[a-z0-9.-]+(?::\d{1,5})?$/i.test(text) ? text.toLowerCase() : new Refused('must be a domain');
}

/** A signature in the address would be shown as part of it. */
export function readServiceUrl(text: string): string | undefined | Refused {
  const checked = readText(text);
  if (checked instanceof Refused || checked === undefined) return checked;
  const url = URL.parse(checked);
  if (!url || !/^https?:$/.test(url.protocol)) return new Refused('must be an http:// or https:// URL');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return new Refused('must be an address alone, without user, signature or fragment');
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
