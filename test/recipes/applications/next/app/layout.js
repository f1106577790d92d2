import { createElement as e } from 'react';

export default function Layout({ children }) {
  return e('html', null, e('body', null, children));
}
