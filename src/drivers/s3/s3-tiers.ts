/** Storage classes as listings name them (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html). */
import { isStorageError } from '../../core/errors.ts';
import type { ListQuery, ObjectInfo } from '../driver.ts';

export const USUAL_TIER = 'STANDARD';
/** Asked for a listing, in which AWS then says of archived objects whether they are restored. */
export const RESTORE_STATUS = ['x-amz-optional-object-attributes', 'RestoreStatus'] as const;

/** Services beside AWS may refuse what they do not know. What is restored is then found by reading; the listing must go on. */
export class RestoreQuestion {
  #isKnown = true;

  /** @param list asks what is restored, or does not; called again without where a service refuses it so. */
  async ask<T>({ tellsTier }: ListQuery, list: (asksRestored: boolean) => Promise<T>): Promise<T> {
    if (!tellsTier || !this.#isKnown) return list(false);
    try {
      return await list(true);
    } catch (error) {
      if (!isStorageError(error, 'unsupported', 'unexpected')) throw error;
      const answer = await list(false);
      this.#isKnown = false;
      return answer;
    }
  }
}

type TierFields = Pick<ObjectInfo, 'tier' | 'archived'>;

const USUAL: TierFields = {};
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html; GLACIER_IR is read at once. */
const OF_ARCHIVES: Readonly<Record<string, TierFields>> = {
  GLACIER: { tier: 'GLACIER', archived: 'yes' },
  // Its objects may be in archive tiers of their own, which only a HEAD tells.
  INTELLIGENT_TIERING: { tier: 'INTELLIGENT_TIERING', archived: 'maybe' },
  DEEP_ARCHIVE: { tier: 'DEEP_ARCHIVE', archived: 'yes' },
};

export function tierFields(tier: string): TierFields {
  if (tier === USUAL_TIER || tier === '') return USUAL;
  return OF_ARCHIVES[tier] ?? { tier };
}
