/**
 * Shared access signatures that let others read one blob
 * (https://learn.microsoft.com/rest/api/storageservices/create-service-sas). Azure's own library makes them too, at the
 * price of 44 MB in every thread.
 */
import { queryText } from '../http/service-client.ts';
import type { AzureSpec } from '../spec.ts';
import type { SharedKeySigner } from './shared-key.ts';

/** The text that is signed has had this form since version 2020-12-06. */
const SAS_VERSION = '2021-12-02';

/**
 * Query of a GET of this blob, with the `?`.
 * @param name of the blob, not encoded.
 * @param expiresAtMs by the server's clock.
 */
export function blobSas(
  { accountName, container, endpoint }: AzureSpec,
  signer: SharedKeySigner,
  name: string,
  expiresAtMs: number,
): string {
  const expiry = `${new Date(expiresAtMs).toISOString().slice(0, 19)}Z`;
  const protocol = endpoint.startsWith('https:') ? 'https' : '';
  const resource = `/blob/${accountName}/${container}/${name}`;
  const start = '';
  const [identifier, addresses, snapshot, scope] = ['', '', '', ''];
  const overridden = ['', '', '', '', ''];
  const text = [
    ...['r', start, expiry, resource, identifier, addresses, protocol, SAS_VERSION, 'b', snapshot, scope],
    ...overridden,
  ].join('\n');
  return queryText([
    ['sv', SAS_VERSION],
    ['sr', 'b'],
    ['sp', 'r'],
    ['se', expiry],
    ...(protocol === '' ? [] : [['spr', protocol] as const]),
    ['sig', signer.sign(text)],
  ]);
}
