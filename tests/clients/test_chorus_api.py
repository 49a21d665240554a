"""A client library written for Chorus Pro, with another address alone."""

import base64
import contextlib
import io
import unittest
import zipfile

from chorusapi.client import ChorusAPI
from chorusapi.exceptions.exception import ChorusApiException

from portal import Manager, Portal


class ChorusApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        stack = contextlib.ExitStack()
        cls.addClassCleanup(stack.close)
        cls.portal = stack.enter_context(Portal())
        cls.manager = Manager(cls.portal)
        cls.structure, cls.siret = cls.manager.structure()

    def client(self, login, password, client_login=None, client_password=None):
        client = ChorusAPI(client_login or login, client_password or password, login, password)
        client.auth_url, client.api_url = f"{self.portal.url}/api/oauth/token", self.portal.url
        return client

    def assert_refused(self, login, password, by=None):
        """The token call is refused, and so is each call with the token of another account, `by`."""
        with self.assertRaises(ChorusApiException) as refusal:
            self.client(login, password).auth()
        self.assertIn("invalid_client", str(refusal.exception))
        _, good_login, good_password = by
        client = self.client(login, password, good_login, good_password).auth()
        for call in (client.health_check, lambda: client.rechercher_structure(self.siret)):
            with self.assertRaises(ChorusApiException) as refusal:
                call()
            self.assertIn("Code: 401 ", str(refusal.exception))
            self.assertIn("Identifiant ou mot de passe incorrect.", str(refusal.exception))

    def test_an_account_connects_and_finds_structures(self):
        _, login, password = self.manager.create(self.structure, "chorus-api")
        client = self.client(login, password).auth()
        self.assertEqual(client.health_check().status_code_value, 200)
        found = client.rechercher_structure(self.siret)
        self.assertEqual((found.code_retour, found.libelle), (0, "TRA_MSG_00.000"))
        self.assertEqual([row.identifiant_structure for row in found.liste_structures], [self.siret])
        self.assertEqual(found.liste_structures[0].statut, "ACTIVE")
        consulted = client.consulter_structure(found.liste_structures[0].id_structure_cpp)
        self.assertEqual(consulted.information_generales.identifiant_structure, self.siret)
        self.assertTrue(consulted.information_generales.date_expiration_mot_passe_compte_tech)

    def test_what_raccord_has_not_is_empty_and_not_an_error(self):
        _, login, password = self.manager.create(self.structure, "services")
        client = self.client(login, password).auth()
        services = client.rechercher_services(self.structure)
        self.assertEqual((services.code_retour, services.liste_structures), (0, []))
        recipients = client.annuaire_destinataire()
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(recipients.fichier_resultat)))
        self.assertEqual((recipients.code_retour, archive.namelist()), (0, []))
        known = client.information_siret(self.siret)
        self.assertEqual((known.code_retour, known.siret, known.siren), (0, self.siret, self.siret[:9]))

    def test_every_bad_credential_is_refused_with_401(self):
        good = self.manager.create(self.structure, "valable")
        suspended = self.manager.create(self.structure, "suspendu")
        expired = self.manager.create(self.structure, "expiré")
        self.manager.act(suspended[0], "suspension")
        self.portal.sql(f"UPDATE technical_users SET expires_at = portal_now() WHERE id = {expired[0]}")
        person = self.portal.manager
        self.assert_refused(good[1], "faux", by=good)
        self.assert_refused(*suspended[1:], by=good)
        self.assert_refused(*expired[1:], by=good)
        self.assert_refused(person["login"], person["password"], by=good)


if __name__ == "__main__":
    unittest.main(verbosity=2)
