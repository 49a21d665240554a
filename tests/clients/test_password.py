"""A secret scanner, written from the page for integrators alone."""

import hashlib
import html
import re
import unittest

from portal import Manager, Portal


def checksum(text, alphabet):
    """The first 32 bits of the SHA-256, in as many digits as the alphabet needs, most significant first."""
    value, digits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big"), ""
    for _ in range(6):
        value, digit = divmod(value, len(alphabet))
        digits = alphabet[digit] + digits
    return digits


class Password(unittest.TestCase):
    def test_a_scanner_made_by_the_documentation_knows_a_password_from_anything_else(self):
        with Portal() as portal:
            manager = Manager(portal)
            page = html.unescape(manager.open("/documentation-api"))
            pattern = re.search(r"<code>(rcd_[^<]+)</code>", page)[1]
            alphabet = re.search(r">([0-9A-Za-z]{56})<", page)[1]
            _, _, password = manager.create(manager.structure()[0], "scanner")
            found = re.findall(pattern, f"motdepasse={password}; autre=rcd_{'x' * 20}")
            self.assertEqual(found, [password])
            self.assertEqual(checksum(password[:-6], alphabet), password[-6:])
            other = "2" if password[10] != "2" else "3"
            self.assertNotEqual(checksum(password[:10] + other + password[11:-6], alphabet), password[-6:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
