// java.net.http with an Authenticator, which answers the challenge of a 401. Run by test_tokens.py.

import java.net.Authenticator;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Token {
    public static void main(String[] arguments) throws Exception {
        var given = new PasswordAuthentication(System.getenv("LOGIN"), System.getenv("PASSWORD").toCharArray());
        var client = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .authenticator(new Authenticator() {
                @Override
                protected PasswordAuthentication getPasswordAuthentication() {
                    return given;
                }
            })
            .build();
        var request = HttpRequest.newBuilder(URI.create(System.getenv("ISSUER") + "/api/oauth/token"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("grant_type=client_credentials"))
            .build();
        var response = client.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.body());
    }
}
