-- Beside apache.conf, as /etc/apache2/raccord-gateway.lua. Apache has no other module that sees the
-- names of all headers.

require "apache2"

-- Letters, digits and hyphens alone: to some APIs, X_Raccord-Login and X.Raccord.Login are the same
-- as X-Raccord-Login. Whatever the client sent under the names of the answers goes too; apache.conf
-- writes them after this.
function remove_other_names(r)
    for name in pairs(r:headers_in_table()) do
        if name:find("[^A-Za-z0-9-]") or name:lower():find("^x%-raccord%-") then
            r.headers_in[name] = nil
        end
    end
    return apache2.DECLINED
end
