/** The few components that all pages are made of. */

import { type ReactNode, useId, useState } from 'react';
import {
  Button as AriaButton,
  TextField as AriaTextField,
  Checkbox,
  Dialog,
  FieldError,
  Heading,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Modal,
  ModalOverlay,
  Popover,
  Select,
  SelectValue,
  Text,
  TextArea,
} from 'react-aria-components';
import { ApiError } from '../api/client';
import { words } from '../words';
import { Icon, type IconName } from './icons';
import { say } from './toast';

type Tone = 'plain' | 'primary' | 'danger' | 'destroy' | 'quiet';

interface ButtonProps {
  children?: ReactNode;
  tone?: Tone;
  size?: 'normal' | 'small';
  icon?: IconName;
  /** Said instead of the children where there is an icon alone. */
  label?: string;
  type?: 'button' | 'submit';
  isDisabled?: boolean;
  isPending?: boolean;
  pressed?: boolean;
  autoFocus?: boolean;
  onPress?: () => void;
}

export function Button({
  children,
  tone = 'plain',
  size = 'normal',
  icon,
  label,
  type = 'button',
  ...rest
}: ButtonProps) {
  const { isDisabled = false, isPending = false, pressed, autoFocus = false, onPress } = rest;
  const className = `button ${tone} ${size}${children ? '' : ' icon-only'}`;
  return (
    <AriaButton
      className={className}
      type={type}
      isDisabled={isDisabled}
      isPending={isPending}
      autoFocus={autoFocus}
      {...(pressed === undefined ? {} : { 'aria-pressed': pressed })}
      {...(label ? { 'aria-label': label } : {})}
      {...(onPress ? { onPress } : {})}
    >
      {icon && <Icon name={icon} />}
      {children}
    </AriaButton>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string | undefined;
  error?: string | undefined;
  type?: 'text' | 'password' | 'email' | 'search' | 'url';
  autoComplete?: string;
  placeholder?: string;
  isRequired?: boolean;
  autoFocus?: boolean;
  lines?: number;
  inputMode?: 'numeric' | 'text';
  maxLength?: number;
}

export function Field({ label, hint, error, lines, placeholder, ...rest }: FieldProps) {
  return (
    <AriaTextField className="field" isInvalid={error !== undefined} validationBehavior="aria" {...rest}>
      <Label>{label}</Label>
      {lines ? (
        <TextArea rows={lines} />
      ) : (
        <Input
          {...(placeholder ? { placeholder } : {})}
          {...(rest.inputMode ? { inputMode: rest.inputMode } : {})}
        />
      )}
      {hint && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="field-error">{error}</FieldError>
    </AriaTextField>
  );
}

export interface Choice<T extends string> {
  id: T;
  text: string;
  hint?: string;
}

interface ChooseProps<T extends string> {
  label: string;
  choices: readonly Choice<T>[];
  value: T | undefined;
  onChange: (value: T) => void;
  placeholder?: string;
  isHiddenLabel?: boolean;
}

export function Choose<T extends string>({ label, choices, value, onChange, ...rest }: ChooseProps<T>) {
  const { placeholder, isHiddenLabel = false } = rest;
  return (
    <Select
      className="field"
      selectedKey={value ?? null}
      onSelectionChange={(key) => {
        const chosen = choices.find((choice) => choice.id === key);
        if (chosen) onChange(chosen.id);
      }}
      {...(placeholder ? { placeholder } : {})}
      {...(isHiddenLabel ? { 'aria-label': label } : {})}
    >
      {!isHiddenLabel && <Label>{label}</Label>}
      <AriaButton className="select-button">
        <SelectValue>
          {({ defaultChildren, isPlaceholder }) =>
            isPlaceholder ? defaultChildren : choices.find((choice) => choice.id === value)?.text
          }
        </SelectValue>
        <Icon name="down" />
      </AriaButton>
      <Popover className="popover">
        <ListBox items={choices}>
          {(choice) => (
            <ListBoxItem id={choice.id} textValue={choice.text}>
              <Text slot="label">{choice.text}</Text>
              {choice.hint && (
                <Text slot="description" className="hint">
                  {choice.hint}
                </Text>
              )}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </Select>
  );
}

export function Check({
  children,
  isSelected,
  onChange,
}: {
  children: ReactNode;
  isSelected: boolean;
  onChange: (is: boolean) => void;
}) {
  return (
    <Checkbox className="check" isSelected={isSelected} onChange={onChange}>
      <span className="box">
        <Icon name="check" />
      </span>
      <span>{children}</span>
    </Checkbox>
  );
}

interface SheetProps {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  isWide?: boolean;
  role?: 'dialog' | 'alertdialog';
}

/** A dialog over the page. */
export function Sheet({ title, isOpen, onClose, children, isWide = false, role = 'dialog' }: SheetProps) {
  return (
    <ModalOverlay
      className="overlay"
      isOpen={isOpen}
      onOpenChange={(open) => !open && onClose()}
      isDismissable={role === 'dialog'}
    >
      <Modal className={`modal${isWide ? ' wide' : ''}`}>
        <Dialog className="dialog" role={role}>
          <Heading slot="title" level={2} className="break">
            {title}
          </Heading>
          {children}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

interface ConfirmProps {
  title: string;
  help: string;
  action: string;
  isOpen: boolean;
  onClose: () => void;
  onConfirm: () => Promise<unknown>;
  /** What has to be typed first. */
  typed?: string;
}

/** Asks before what can't be undone. */
export function Confirm({ title, help, action, isOpen, onClose, onConfirm, typed }: ConfirmProps) {
  const [text, setText] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const close = () => {
    setText('');
    setError(undefined);
    onClose();
  };
  const confirm = async () => {
    if (typed !== undefined && text.trim() !== typed.trim()) return;
    setBusy(true);
    try {
      await onConfirm();
      close();
    } catch (failure) {
      setError(explain(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Sheet title={title} isOpen={isOpen} onClose={close} role="alertdialog">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void confirm();
        }}
      >
        <p>{help}</p>
        {typed !== undefined && (
          <Field
            label={words.common.typeName(typed)}
            value={text}
            onChange={setText}
            autoComplete="off"
            autoFocus
          />
        )}
        {error && <Notice tone="bad">{error}</Notice>}
        <div className="dialog-end">
          <Button onPress={close} autoFocus={typed === undefined}>
            {words.common.cancel}
          </Button>
          <Button
            tone="destroy"
            type="submit"
            isPending={isBusy}
            isDisabled={typed !== undefined && text.trim() !== typed.trim()}
          >
            {action}
          </Button>
        </div>
      </form>
    </Sheet>
  );
}

export function Notice({
  tone = 'warn',
  children,
}: {
  tone?: 'warn' | 'bad' | 'info' | 'good';
  children: ReactNode;
}) {
  return (
    <div className={`notice ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      <Icon name={tone === 'info' ? 'info' : tone === 'good' ? 'check' : 'warning'} />
      <div>{children}</div>
    </div>
  );
}

export type BadgeTone = 'plain' | 'good' | 'warn' | 'bad' | 'accent';

export function Badge({ tone = 'plain', children }: { tone?: BadgeTone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

const STATE_TONES: Record<string, BadgeTone> = { live: 'good', stalled: 'warn', interrupted: 'warn' };

export function StateBadge({ state }: { state: string }) {
  const known: Record<string, string> = words.streams.states;
  return <Badge tone={STATE_TONES[state] ?? 'plain'}>{known[state] ?? state}</Badge>;
}

export function Copyable({ text, label, isTall = false }: { text: string; label: string; isTall?: boolean }) {
  const id = useId();
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say(words.common.copied),
      () => say(words.common.notCopied, 'bad'),
    );
  return (
    <div>
      <p className="copy-label" id={id}>
        {label}
      </p>
      <div className={`copy${isTall ? ' tall' : ''}`}>
        <code title={isTall ? undefined : text}>{text}</code>
        <Button
          size="small"
          tone="quiet"
          icon="copy"
          label={`${words.common.copy}: ${label}`}
          onPress={() => {
            void copy();
          }}
        />
      </div>
    </div>
  );
}

export function Empty({
  icon,
  title,
  children,
  action,
  isPage = false,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  /** In place of a whole page. */
  isPage?: boolean;
}) {
  return (
    <div className="empty">
      <Icon name={icon} />
      {isPage ? <h1>{title}</h1> : <p className="empty-title">{title}</p>}
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Skeletons({ rows = 5 }: { rows?: number }) {
  return (
    <div className="skeletons" role="status" aria-label={words.common.loading}>
      {Array.from({ length: rows }, (_, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
        <span className="skeleton" key={at} />
      ))}
    </div>
  );
}

/** An error in words, with what to do. */
export function explain(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.status === 403 && error.problem.code === 'forbidden') return words.errors.forbidden;
    if (error.status === 404) return words.errors.notFound;
    const detail = error.message;
    const sentence = detail.charAt(0).toUpperCase() + detail.slice(1);
    const allowed = error.problem.allowed ? ` (${error.problem.allowed})` : '';
    return `${sentence}${allowed}${/[.!?)]$/.test(sentence + allowed) ? '' : '.'}`;
  }
  if (error instanceof TypeError) return words.errors.network;
  return error instanceof Error ? error.message : String(error);
}

export function Failed({
  error,
  onRetry,
  isPage = false,
}: {
  error: unknown;
  onRetry?: () => void;
  isPage?: boolean;
}) {
  const isMissing = error instanceof ApiError && error.status === 404;
  const action = onRetry && !isMissing && <Button onPress={onRetry}>{words.common.retry}</Button>;
  return (
    <div role="alert">
      <Empty
        icon={isMissing ? 'search' : 'warning'}
        title={isMissing ? words.errors.notFoundTitle : words.errors.title}
        action={action}
        isPage={isPage}
      >
        {explain(error)}
      </Empty>
    </div>
  );
}

export function Card({
  title,
  note,
  actions,
  children,
  isFlush = false,
}: {
  title?: string;
  note?: string;
  actions?: ReactNode;
  children: ReactNode;
  isFlush?: boolean;
}) {
  return (
    <section className="card">
      {title && (
        <div className="card-head">
          <div>
            <h2>{title}</h2>
            {note && <p className="card-note">{note}</p>}
          </div>
          {actions && <div className="actions">{actions}</div>}
        </div>
      )}
      {isFlush ? children : <div className="card-body">{children}</div>}
    </section>
  );
}

export function PageHead({
  title,
  lead,
  crumb,
  children,
}: {
  title: ReactNode;
  lead?: ReactNode;
  crumb?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <header className="page-head">
      <div>
        {crumb && <p className="crumb">{crumb}</p>}
        <h1>{title}</h1>
        {lead && <p className="lead">{lead}</p>}
      </div>
      {children && <div className="actions">{children}</div>}
    </header>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** Loading, failed, or what was asked for. Old data stays while a newer answer fails. */
export function Loaded<T>({
  query,
  rows,
  isPage = false,
  children,
}: {
  query: Asked<T>;
  rows?: number;
  isPage?: boolean;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isPending) return <Skeletons {...(rows === undefined ? {} : { rows })} />;
  return (
    <Failed
      error={query.error}
      isPage={isPage}
      onRetry={() => {
        query.refetch();
      }}
    />
  );
}
