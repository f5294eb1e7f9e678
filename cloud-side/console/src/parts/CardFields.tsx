/** The network cards of a failover's machine. Without a word there is one card behind the host's addresses. */
import { Button, SegmentedControl, Select, TextInput } from '@mantine/core';
import type { NetworkCard } from '../api/types';
import { useWords } from '../words/words';

export interface CardDraft {
  key: number;
  connected: boolean;
  address: string;
  /** `host_address:port>machine_port`, separated by spaces or commas. */
  forwards: string;
}

const FORWARD = /^(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5})>(\d{1,5})$/;

/** What the API is given; null while something of it is no card. Pure, so that it can be tested. */
export function cardsOf(drafts: CardDraft[]): NetworkCard[] | null {
  const cards: NetworkCard[] = [];
  for (const draft of drafts) {
    const address = draft.address.trim() === '' ? null : draft.address.trim();
    if (address !== null && !/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(address)) return null;
    if (!draft.connected) {
      cards.push({ address, connection: 'isolated' });
      continue;
    }
    const forward = [];
    for (const text of draft.forwards.split(/[\s,]+/).filter(Boolean)) {
      const found = FORWARD.exec(text);
      if (!found) return null;
      const [host, machine] = [Number(found[2]), Number(found[3])];
      if (host < 1 || host > 65_535 || machine < 1 || machine > 65_535) return null;
      forward.push({
        ...(found[1] ? { host_address: found[1] } : {}),
        host_port: host,
        machine_port: machine,
      });
    }
    cards.push({ address, connection: { host_nat: { forward } } });
  }
  return cards;
}

interface Props {
  /** Null: what the API does by itself. */
  cards: CardDraft[] | null;
  onChange: (cards: CardDraft[] | null) => void;
}

let made = 0;
const fresh = (): CardDraft => ({ key: ++made, connected: true, address: '', forwards: '' });

export function CardFields({ cards, onChange }: Props) {
  const { t } = useWords();
  const set = (key: number, part: Partial<CardDraft>) =>
    onChange((cards ?? []).map((card) => (card.key === key ? { ...card, ...part } : card)));
  return (
    <div>
      <span className="field-name">{t('cards.title')}</span>
      <SegmentedControl
        value={cards === null ? 'default' : 'own'}
        onChange={(next) => onChange(next === 'default' ? null : [fresh()])}
        aria-label={t('cards.title')}
        data={[
          { value: 'default', label: t('cards.default') },
          { value: 'own', label: t('cards.own') },
        ]}
      />
      {cards?.map((card) => (
        <div className="card-line" key={card.key}>
          <Select
            aria-label={t('cards.connection')}
            value={card.connected ? 'connected' : 'isolated'}
            allowDeselect={false}
            data={[
              { value: 'connected', label: t('cards.connected') },
              { value: 'isolated', label: t('cards.isolated') },
            ]}
            onChange={(next) => set(card.key, { connected: next === 'connected' })}
          />
          <TextInput
            aria-label={t('cards.address')}
            placeholder={t('cards.address')}
            value={card.address}
            onChange={(event) => set(card.key, { address: event.currentTarget.value })}
          />
          {card.connected && (
            <TextInput
              aria-label={t('cards.forwards')}
              placeholder="192.0.2.10:8443>443"
              value={card.forwards}
              error={cardsOf([card]) === null ? t('cards.wrong') : undefined}
              onChange={(event) => set(card.key, { forwards: event.currentTarget.value })}
            />
          )}
          <Button
            variant="subtle"
            color="gray"
            onClick={() => onChange(cards.filter((other) => other.key !== card.key))}
            disabled={cards.length === 1}
          >
            {t('cards.remove')}
          </Button>
        </div>
      ))}
      {cards !== null && cards.length < 8 && (
        <Button size="compact-sm" variant="default" onClick={() => onChange([...cards, fresh()])}>
          {t('cards.add')}
        </Button>
      )}
    </div>
  );
}
