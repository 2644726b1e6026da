import { words } from '../words';
import { Button, Empty } from './kit';

/** Shown in place of a page that broke. */
export function Broken() {
  return (
    <Empty
      icon="warning"
      isPage
      title={words.errors.unexpected}
      action={<Button onPress={() => location.reload()}>{words.errors.reload}</Button>}
    />
  );
}
