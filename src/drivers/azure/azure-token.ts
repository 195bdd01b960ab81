/** Tokens of Microsoft Entra ID. Azure's own library is loaded only where a storage is to be used with them. */
import type { TokenCredential } from '@azure/identity';
import { StorageError } from '../../core/errors.ts';
import type { TokenSource } from '../access-token.ts';
import { saidSafely } from '../http/said.ts';
import type { AzureAccess } from '../spec.ts';

/** The same in all of Azure's clouds. */
const SCOPE = 'https://storage.azure.com/.default';
const LOG_IN_MS_MAX = 120_000;

type EntraAccess = Extract<AzureAccess, { readonly type: 'client-secret' | 'default' }>;

/**
 * Where the tokens of a storage come from.
 * @param backend display name of the storage, for errors, which are StorageErrors: of the whole backend where nobody but the
 * user can mend it, else worth another try.
 */
export function entraTokens(backend: string, access: EntraAccess, open = openCredential): TokenSource {
  let opening: Promise<TokenCredential> | undefined;
  return async () => {
    try {
      opening ??= open(access);
      const credential = await opening;
      const answer = await credential.getToken(SCOPE, { abortSignal: AbortSignal.timeout(LOG_IN_MS_MAX) });
      if (!answer || !/^[!-~]+$/.test(answer.token)) throw new Error('no token came');
      return { token: answer.token, expiresAtMs: answer.expiresOnTimestamp };
    } catch (error) {
      throw refusal(backend, access, error);
    }
  };
}

async function openCredential(access: EntraAccess): Promise<TokenCredential> {
  const { ClientSecretCredential, DefaultAzureCredential } = await import('@azure/identity');
  return access.type === 'default'
    ? new DefaultAzureCredential()
    : new ClientSecretCredential(access.tenantId, access.clientId, access.secret);
}

const HINTS = {
  'client-secret':
    'Check tenantid, clientid and secret, that the secret has not ended, and that this machine reaches login.microsoftonline.com',
  default:
    'Give accountkey or sastoken (beside a URL AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN), or let Entra ID know who asks: AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, a managed identity, or a login of the Azure command line',
} as const;

/** Without a status nobody at Entra ID has answered, and may do so the next time. */
function refusal(backend: string, access: EntraAccess, cause: unknown): StorageError {
  const secrets = access.type === 'client-secret' ? [access.secret] : [];
  const said = saidSafely(cause instanceof Error ? cause.message : String(cause), secrets);
  const status = (cause as { readonly statusCode?: unknown } | null)?.statusCode;
  const isAnswer = typeof status === 'number' && status >= 400 && status < 500 && status !== 429;
  const isLasting = isAnswer || (cause as Error | null)?.name === 'CredentialUnavailableError';
  const operation = 'log in to';
  return new StorageError(
    `Cannot ${operation} ${backend}: ${said}`,
    {
      kind: isLasting ? 'denied' : 'unavailable',
      backend,
      operation,
      isTransient: !isLasting,
      scope: isLasting ? 'backend' : 'object',
      ...(typeof status === 'number' ? { status } : {}),
    },
    // The library's own error has the request in it: it is not passed on as the cause.
    { hint: HINTS[access.type] },
  );
}
